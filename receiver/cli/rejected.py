"""`receiver rejected`: lists, shows, replays and purges payloads that could not be parsed."""

import base64
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import click
from pydantic import ByteSize, TypeAdapter, ValidationError

from receiver.cli.common import quiet_settings, run, with_database
from receiver.cli.completing import platforms
from receiver.cli.progress import progress
from receiver.ingest import replay as replaying
from receiver.store import rejected as store
from receiver.store.maintenance.periodic import connected
from receiver.store.rejected import Filter, Rejected
from receiver.store.timelines import Timelines, load
from receiver.telemetry.visible import visible, visible_json

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_LIMIT = 1_000
_MOST_DAYS = 36_525


@click.group()
def rejected() -> None:
    """List, show, replay or purge payloads that could not be understood."""


def _age(_context: click.Context, _parameter: click.Parameter, value: float | None) -> datetime | None:
    if value is None:
        return None
    if not 0 <= value <= _MOST_DAYS:  # nor is it NaN; --older-than -5 meant every one that there is
        raise click.BadParameter(f"it is no number of days from 0 to {_MOST_DAYS:,}")
    return datetime.now(UTC) - timedelta(days=value)


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else TypeAdapter(ByteSize).validate_python(value)
    except ValidationError:
        raise click.BadParameter(f"{value!r} is no size like 10MiB") from None


def _filters(command: F) -> F:
    options = (
        click.option("--provider", shell_complete=platforms, help="Only those of this platform."),
        click.option("--newer-than", "since", type=float, callback=_age, metavar="DAYS", help="Only younger ones."),
        click.option("--older-than", "before", type=float, callback=_age, metavar="DAYS", help="Only older ones."),
        click.option("--error", metavar="TEXT", help="Only those with this in their error, in any case."),
        click.option("--replayed", "replayed_too", is_flag=True, help="Also those that were replayed."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@rejected.command("list")
@_filters
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, _LIMIT), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(*, limit: int, as_json: bool, **wanted: Any) -> None:
    """Show what was rejected and why, oldest first."""
    found = _do(lambda connection: store.find(connection, Filter(**wanted), limit + 1))
    payloads = found[:limit]
    if len(found) > limit:
        click.echo(f"There are younger ones than these {limit}: see --limit and --newer-than.", err=True)
    if as_json:
        click.echo(visible_json(json.dumps([_summary(payload) for payload in payloads], indent=2)))
        return
    if not payloads:
        click.echo("There are no such payloads.", err=True)
    for payload in payloads:
        replayed = "  replayed" if payload.replayed_at else ""
        click.echo(f"{str(payload.rejected_id)[:8]}  {payload.received_at:%Y-%m-%d %H:%M:%S}  {payload.path}{replayed}")
        click.echo(f"          {visible(payload.error)}")


@rejected.command()
@click.argument("rejected_id")
@click.option("--raw", is_flag=True, help="Write the body's bytes as they came, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the body is in base64.")
def show(rejected_id: str, *, raw: bool, as_json: bool) -> None:
    """Show one payload, body and all.

    REJECTED_ID may be the first characters of the id. What a terminal would obey is shown as an escape; --raw gives the
    bytes.
    """
    payload, body = _one(rejected_id)
    if raw:
        sys.stdout.buffer.write(body)
        return
    if as_json:
        whole = _summary(payload) | {"body": base64.b64encode(body).decode()}
        click.echo(visible_json(json.dumps(whole, indent=2)))
        return
    for name, value in _summary(payload).items():
        click.echo(f"{name:<13} {'-' if value is None else visible(str(value))}")
    click.echo()
    click.echo(visible(body.decode(errors="backslashreplace"), keep="\n\t"))


@rejected.command()
@click.argument("rejected_id", required=False)
@_filters
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only say what would be understood now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(rejected_id: str | None, *, limit: int, dry_run: bool, as_json: bool, **wanted: Any) -> None:
    """Read payloads again, with all that is understood now.

    For after an upgrade that understands more. The time of their arrival stays.
    """
    chosen = Filter(id_prefix=rejected_id, **wanted)

    async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> list[replaying.Replayed]:
        payloads = await store.find(connection, chosen, limit)
        return await replaying.replay(connection, payloads, dry_run=dry_run, told=shown)

    with progress("looking") as shown:
        done = _do(work)
    if rejected_id and not done:
        raise click.ClickException(f"no payload has the id {rejected_id}, or it was replayed already: see --replayed")
    if as_json:
        rows = [
            {"rejected_id": str(r.rejected_id), "understood": r.understood, "stored": r.stored, "error": r.error}
            for r in done
        ]
        click.echo(visible_json(json.dumps(rows, indent=2)))
        return
    for one in done:
        why = visible(one.error or "")
        click.echo(f"{str(one.rejected_id)[:8]}  understood {one.understood}, stored {one.stored}  {why}")
    whole = sum(one.error is None for one in done)
    click.echo(f"{len(done)} read again, {whole} wholly understood{' (dry run)' if dry_run else ''}.")


@rejected.command()
@_filters
@click.option(
    "--spare", callback=_size, metavar="SIZE", help="Keep the youngest of them, up to this size of bodies (10MiB)."
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def purge(*, spare: int | None, dry_run: bool, yes: bool, as_json: bool, **wanted: Any) -> None:
    """Delete payloads for good.

    Without a filter, all that were not replayed.
    """

    async def chosen(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[Filter, int]:
        found = Filter(**wanted)
        if spare is not None:
            found = await store.sparing(connection, found, spare)
        return found, await store.count(connection, found)

    found, number = _do(chosen)
    if not dry_run:
        if number and not yes:
            click.confirm(f"Delete {number} payloads for good?", abort=True, err=True)
        with progress("payloads", number) as shown:
            number = _do(lambda connection: store.purge(connection, found, shown))
    if as_json:
        click.echo(json.dumps({"payloads": number, "deleted": not dry_run}, indent=2))
        return
    click.echo(f"{number} {'would be deleted' if dry_run else 'deleted'}.")


def _do(work: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[T]]) -> T:
    settings = quiet_settings()

    async def with_connection(url: str) -> T:
        async with connected(url, Timelines(load(settings.data_dir)).judge) as connection:
            return await work(connection)

    return run(with_database(settings, with_connection))


def _one(rejected_id: str) -> tuple[Rejected, bytes]:
    async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[Rejected, bytes]:
        found = await store.find(connection, Filter(id_prefix=rejected_id, replayed_too=True), 2)
        if len(found) > 1:
            raise click.ClickException("several ids begin so; give more of it")
        body = await store.body_of(connection, found[0]) if found else None
        if body is None:
            raise click.ClickException("no payload has this id")
        return found[0], body

    return _do(work)


def _summary(payload: Rejected) -> dict[str, str | int | None]:
    replayed_at = payload.replayed_at
    return {
        "rejected_id": str(payload.rejected_id),
        "provider": payload.provider,
        "path": payload.path,
        "received_at": payload.received_at.isoformat(),
        "error": payload.error,
        "content_type": payload.content_type,
        "bytes": payload.size,
        "remote_addr": payload.remote_addr,
        "correlation": payload.correlation,
        "replayed_at": replayed_at.isoformat() if replayed_at else None,
    }
