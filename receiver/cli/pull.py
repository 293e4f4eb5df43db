"""`receiver pull`: fetch reports from a platform that does not push them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Final, TextIO

import click

from receiver import settings
from receiver.cli.common import moment, quiet_settings, run, with_database
from receiver.cli.progress import progress
from receiver.cli.serving import run_service
from receiver.errors import OperatorError
from receiver.extras import DISTRIBUTION
from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.ingest.observe import observe
from receiver.ingest.recent import Recent
from receiver.pull import by_number
from receiver.pull.by_number import Found, Store
from receiver.pull.settings import variable
from receiver.pull.source import Opened, Platform, PullFailed
from receiver.pull.sources import PLATFORMS
from receiver.settings import Settings
from receiver.storage import connect_to_write
from receiver.store.job import Job, Kept, KeptIn
from receiver.store.timelines import Timelines, load
from receiver.store.told import Told
from receiver.store.writer import DatabaseUnavailable, QueueFull, Writer
from receiver.telemetry import metrics

_NAMES: Final[dict[str, Platform]] = {platform.name: platform for platform in PLATFORMS}
_REACH: Final = timedelta(days=7)
"""Platforms return a number's reports for this long."""
_INCOMPLETE: Final = 3
"""Exit code of a run that may be incomplete, and that a second run would not improve."""


@click.command()
@click.argument("platform", type=click.Choice(sorted(_NAMES)))
@click.option(
    "--number",
    "numbers",
    multiple=True,
    metavar="NUMBER",
    help="Ask for this number's reports again (E.164), and end; can be repeated.",
)
@click.option("--numbers-from", type=click.File(), help="File with a number on each line; - is the standard input.")
@click.option(
    "--since",
    callback=moment,
    metavar="TIME",
    help="With numbers: from then on: 24h, 7d, 2026-11-20, 2026-11-20T09:30 (UTC).  [default: 7d]",
)
@click.option("--until", callback=moment, metavar="TIME", help="With numbers: before then.  [default: now]")
@click.option("--json", "as_json", is_flag=True, help="With numbers: print the summary as JSON.")
def pull(
    *,
    platform: str,
    numbers: tuple[str, ...],
    numbers_from: TextIO | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Fetch reports and replies from PLATFORM until SIGTERM, and keep every one of them.

    The platform hands each out only once. `receiver serve` does the same by itself where the settings say so; this
    is for a process of its own, which then needs its own RECEIVER_DATA_DIR and RECEIVER_OPS_PORT.

    With numbers, it asks for what the platform knows of them, stores what is missing, and ends. That takes nothing
    from anybody, and can be repeated. Exit code 3: all that it told is stored, but it may know of more.
    """
    known = _NAMES[platform]
    opened = known.open()
    if opened is None:
        raise settings.SettingsError(f"{variable(known.settings, known.switch)}: must be set to pull from {platform}")
    wanted = _wanted(numbers, numbers_from)
    if wanted is None:
        run_service(settings.load(), [opened], listen=False)
        return
    now = datetime.now(UTC)
    found = _look_up(opened, wanted, since or now - _REACH, until or now)
    told = f"{found.numbers} numbers asked for: {found.items} reports and replies, {found.new} of them new."
    click.echo(json.dumps(asdict(found)) if as_json else told)
    if found.incomplete:
        full = f"of {found.incomplete} seconds the platform told as much as it tells at a time"
        click.echo(f"Warning: {full}: it may know of more.", err=True)
        click.get_current_context().exit(_INCOMPLETE)


def _wanted(numbers: tuple[str, ...], numbers_from: TextIO | None) -> list[str] | None:
    """The numbers, each once; None if neither option is given."""
    if not numbers and numbers_from is None:
        return None
    lines = [line.strip() for line in numbers_from or ()]
    wanted = list(dict.fromkeys([*numbers, *filter(None, lines)]))
    if any(not number.startswith("+") or not number[1:].isdecimal() for number in wanted):
        raise click.BadParameter("every number should look like +8613812345678")
    return wanted


def _look_up(opened: Opened, numbers: Sequence[str], since: datetime, until: datetime) -> Found:
    config = quiet_settings(*opened.secrets)

    async def work(url: str, told: Told) -> Found:
        async with _storing(url, config) as store:
            return await by_number.look_up(opened.lookups, numbers, since, until, store, told)

    try:
        with progress("numbers", len(numbers)) as shown:
            return run(with_database(config, lambda url: work(url, shown)))
    except PullFailed as error:
        what_now = "then run it again" if error.permanent else "run it again"
        raise click.ClickException(f"{error} ({error.detail}); {what_now}") from error
    except (DatabaseUnavailable, QueueFull) as error:
        raise OperatorError(
            f"{config.database_setting}: PostgreSQL takes nothing now: mend it, and run this again"
        ) from error


@asynccontextmanager
async def _storing(url: str, config: Settings) -> AsyncIterator[Store]:
    """Store into PostgreSQL directly: a running service may own the spool, and a failed run can be repeated."""
    counts = metrics.build(version(DISTRIBUTION))
    connect = connect_to_write(config, Timelines(load(config.data_dir)))
    timeout_s = config.database_timeout_s
    writer = Writer(url, counts, timeout_s=timeout_s, max_queue=1_000, max_flush=1_000, connect=connect)
    writing = asyncio.create_task(writer.run())

    async def keep(job: Job) -> Kept:
        return Kept(KeptIn.DATABASE, await writer.retry(job))

    ingest = Ingest(keep, partial(observe, metrics=counts, recent=Recent()))

    async def store(inbound: Inbound) -> int:
        return (await ingest.accept(inbound)).stored

    try:
        yield store
    finally:
        writing.cancel()
        await asyncio.wait([writing])
