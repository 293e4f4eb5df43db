"""The command behind `make bench`."""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import asyncpg
import click
import psutil
from plan import costs, page

from bench import (
    cases,
    cluster,
    growth,
    plan_citus,
    plan_database,
    plan_service,
    programs,
    reads,
    rounds,
    servers,
    spooling,
    table,
    writing,
    wrk,
)
from bench.cases import Case
from bench.cluster import Cluster
from receiver.telemetry import logs


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; `sizes` are stored reports, `spooled` is the length of the spool that is drained."""

    seconds: float
    times: int
    match: str
    spooled: int
    sizes: Sequence[int]
    rows: int
    base: str = ""
    keep: bool = False


class Part(NamedTuple):
    """A part of the output: Markdown, and its figures for JSON."""

    text: str
    figures: object


async def _cases(chosen: Sequence[Case], running: Cluster, plan: Plan) -> Part:
    there = [case for case in chosen if case.server is None or case.server in servers.PROGRAMS]
    matching = [case for case in there if plan.match in f"{case.title}: {case.what}"]
    found = await rounds.run(running, matching, plan.times, plan.seconds)
    return Part(table.markdown(found), [asdict(case) | asdict(result) for case, result in found.items()])


async def _spool(running: Cluster, plan: Plan) -> Part:
    live = cases.LIVE
    alone, beside = [await spooling.drain(running, plan.spooled, load) for load in (None, live)]
    hang = await spooling.hang(running, cases.SINGLE_64, max(plan.seconds, 4.0))
    drains = [
        [what, f"{d.drained:,}", f"{d.drained_s:,.0f}", f"{d.live_s:,.0f}"]
        for what, d in (("no other traffic", alone), (f"{live.connections} connections at once", beside))
    ]
    head = ("spool", "reports drained", "drained/s", "live reports/s")
    text = (
        f"### Draining {plan.spooled:,} spooled reports\n\n{table.grid(head, drains)}\n\n"
        f"### PostgreSQL stops in mid-load (64 connections)\n\nThe slowest answer took {hang.max_ms:,.0f} ms "
        f"(deadline 2,000 ms), half of all {hang.p50_ms:.1f} ms; {hang.refused} refused, {hang.broken} without answer."
    )
    return Part(text, {"alone": alone._asdict(), "beside": beside._asdict(), "hang": asdict(hang)})


async def _growth(running: Cluster, plan: Plan) -> Part:
    found = await growth.grow(running, plan.sizes, cases.BATCH_16, plan.times, plan.seconds)
    rows = [
        [
            f"{rate.stored:,}",
            f"{rate.settled.reports_s:,.0f}",
            f"{rate.settled.reports_s / found[0].settled.reports_s:.2f}",
            f"{rate.settled.p99_ms:,.0f}",
            f"{rate.settled.database_cores:.2f}",
            f"{rate.early.reports_s:,.0f}",
        ]
        for rate in found
    ]
    head = ("reports stored", "reports/s", "of the first", "p99 ms", "PostgreSQL", "right after a checkpoint")
    text = f"### Rate over size (batches of 50, 16 connections)\n\n{table.grid(head, rows)}"
    return Part(text, [{"stored": r.stored, "early": asdict(r.early), "settled": asdict(r.settled)} for r in found])


async def _reads(running: Cluster, plan: Plan) -> Part:
    found = await reads.measure(running, plan.rows)
    rows = [
        [
            one.name,
            f"{one.cpu_ms:,.1f}",
            f"{one.wall_ms:,.1f}",
            f"{one.hit + one.read:,}",
            f"{one.rows:,}",
            f"{one.goal_ms:,.0f}" + ("" if one.met else " (missed)"),
        ]
        for one in found
    ]
    head = ("query", "CPU ms", "wall ms", "buffers", "rows", "goal ms")
    text = f"### Reading a month of {plan.rows:,} messages, as sms_reader, warm, serial\n\n{table.grid(head, rows)}"
    return Part(text, [one._asdict() | {"met": one.met} for one in found])


async def _write(running: Cluster, plan: Plan) -> Part:
    return Part(*await writing.compare(running, plan.base or writing.BASE, 5 * plan.times))


async def _scaling(running: Cluster, plan: Plan) -> Part:
    machine = await _machine(running, plan)
    found = await plan_database.measure(running.folder, 5 * plan.times)
    found |= await plan_citus.measure(running.folder, 5 * plan.times)
    found |= await plan_service.measure(running, found["service_flush_us"], plan.seconds, plan.times)
    if plan.keep:
        await asyncio.to_thread(page.keep, found, f"{datetime.now(UTC):%B %Y}, {machine.rstrip('.')}")
    return Part(f"### What a report costs\n\n{table.grid(('', ''), costs.rows(found))}", found)


PARTS: Final[dict[str, Callable[[Cluster, Plan], Awaitable[Part]]]] = {
    "main": partial(_cases, cases.MAIN),
    "costs": partial(_cases, cases.COSTS),
    "workers": partial(_cases, cases.WORKERS),
    "pages": partial(_cases, cases.VISITED),
    "spool": _spool,
    "growth": _growth,
    "reads": _reads,
    "write": _write,
    "scaling": _scaling,
}
_USUAL: Final = tuple(part for part in PARTS if part not in ("reads", "scaling"))
"""To fill a month takes half an hour; what a report costs is asked for by name."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=4.0, help="Length of one measurement.")
@click.option("--rounds", "times", default=3, help="Measurements of each case; the median counts.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*PARTS]),
    help="These parts alone; without it all but reads and scaling.",
)
@click.option("--match", default="", help="Of the tables, only lines with this text in title or line.")
@click.option("--spooled", default=500_000, help="Reports in the spool that is drained.")
@click.option("--size", "sizes", multiple=True, type=int, default=(0, 1_000_000, 10_000_000), help="Reports stored.")
@click.option("--rows", default=20_000_000, help="Messages of the month that is read.")
@click.option("--base", default="", help="A commit whose receiver is measured too.")
@click.option("--keep", is_flag=True, help="Let `make plan` and docs/scaling.md have the figures of scaling.")
@click.option("--folder", default="/var/tmp", help="Where the databases go: a disk, not a tmpfs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(*, only: tuple[str, ...], folder: str, as_json: bool, **amounts: Any) -> None:
    """Measure the receiver beside a bare handler, a straightforward one, and PostgreSQL alone."""
    wrk.command()
    logs.configure("console", "WARNING", stream=sys.stderr.buffer)
    parts = asyncio.run(_run(Plan(**amounts), only or _USUAL, Path(folder)))
    if as_json:
        click.echo(json.dumps({name: part.figures for name, part in parts.items()}, indent=2))
    else:
        click.echo("\n\n".join(part.text for part in parts.values()))


async def _run(plan: Plan, only: Sequence[str], folder: Path) -> dict[str, Part]:
    async with cluster.running(folder) as running:
        if plan.base:
            base = await programs.add_base(plan.base, running.folder / "base")
            await running.template(programs.BASE, partial(programs.prepare, base))
        if "main" in only:
            await programs.add_peer(running.folder / "peer")
        machine = Part(await _machine(running, plan), asdict(plan))
        return {"plan": machine} | {name: await PARTS[name](running, plan) for name in only}


async def _machine(running: Cluster, plan: Plan) -> str:
    connection = await asyncpg.connect(running.url)
    server = await connection.fetchval("SHOW server_version")
    await connection.close()
    return (
        f"{psutil.cpu_count()} cores ({platform.machine()}), load average {os.getloadavg()[0]:.1f} at the start, "
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, PostgreSQL {server}; "
        f"medians of {plan.times} interleaved rounds of {plan.seconds:g} s."
    )


if __name__ == "__main__":
    main()
