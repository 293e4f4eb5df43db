"""What a report costs PostgreSQL and its client, beside another source tree: in turn, in one run, on one cluster."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import asyncpg
import click

from bench.cluster import Cluster, named
from bench.programs import CHECKOUT, unpack
from bench.table import grid

BASE: Final = "c96b354"
"""The last one before reports came as binary rows."""

_SETTINGS: Final = {"autovacuum": "off", "max_wal_size": "'20GB'", "checkpoint_timeout": "'1h'"}
"""Nothing beside the writes."""

_SIZE: Final = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relnamespace = 'sms_data'::regnamespace AND relkind = 'r' AND relname ~ '^(message|report|envelope)'
      AND relname !~ '_delta$'
"""
"""Deltas are folded into the counts."""


class Kind(NamedTuple):
    """`code` of the reports, about the messages of this round: new ones, or those that another kind has written."""

    what: str
    code: str
    flush: int
    new: bool


KINDS: Final = (
    Kind("fresh, flushes of 200", "ACCEPTD", 200, new=True),
    Kind("second report, flushes of 200", "DELIVRD", 200, new=False),
    Kind("duplicates, flushes of 200", "DELIVRD", 200, new=False),
    Kind("fresh, one by one", "ACCEPTD", 1, new=True),
    Kind("second report, one by one", "DELIVRD", 1, new=False),
    Kind("duplicates, one by one", "DELIVRD", 1, new=False),
)
_A_ROUND: Final = {200: 2_000, 1: 100}
"""Reports of one kind in a round: short ones, as the machine's load changes."""


@dataclass(slots=True)
class Costs:
    """Of one kind, by round: CPU of the backend and of the client in µs, and bytes of WAL, each a report."""

    backend: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)
    wal: list[float] = field(default_factory=list)


NAMES: Final = [one.name for one in fields(Costs)]


@dataclass(slots=True)
class Side:
    """A source tree at work."""

    process: asyncio.subprocess.Process
    connection: "asyncpg.Connection[asyncpg.Record]"
    costs: dict[Kind, Costs]
    disk: float = 0.0

    async def told(self) -> dict[str, Any]:
        """The next line of the driver."""
        assert self.process.stdout
        line = await self.process.stdout.readline()
        if not line:
            raise click.ClickException("the writer of one source tree has ended: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def write(self, kind: Kind, first: int) -> None:
        """One round of one kind."""
        count = _A_ROUND[kind.flush]
        before = await self.connection.fetchval("SELECT pg_current_wal_insert_lsn()")
        command = {"first": first, "count": count, "size": kind.flush, "code": kind.code}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        cost = await self.told()
        wal = await self.connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)", before)
        expected = 0 if kind.what.startswith("duplicates") else count
        assert cost["stored"] == expected, (kind, cost)
        known = self.costs[kind]
        known.backend.append(cost["backend_ns"] / count / 1000)
        known.client.append(cost["client_ns"] / count / 1000)
        known.wal.append(float(wal) / count)


async def compare(cluster: Cluster, base: str, rounds: int) -> tuple[str, dict[str, Any]]:
    """A table of ratios, this tree's costs to those of `base`, a revision; and the figures."""
    settings = [f"ALTER SYSTEM SET {name} = {value}" for name, value in _SETTINGS.items()]
    await cluster.execute(*settings, "SELECT pg_reload_conf()")
    tree = cluster.folder / "base-tree"
    await unpack(base, tree)
    async with AsyncExitStack() as stack:
        sides = {
            "base": await stack.enter_async_context(_at_work(cluster, "write_base", tree)),
            "now": await stack.enter_async_context(_at_work(cluster, "write_now", CHECKOUT)),
        }
        await _rounds(cluster, sides, rounds)
    return _text(base, sides), {name: _figures(side) for name, side in sides.items()}


async def _rounds(cluster: Cluster, sides: dict[str, Side], rounds: int) -> None:
    batches, singles = KINDS[:3], KINDS[3:]
    first = 0
    await cluster.execute("CHECKPOINT")
    sizes = {name: await side.connection.fetchval(_SIZE) for name, side in sides.items()}
    for at in range(rounds):  # new messages alone: what they take on the disk
        for side in list(sides.values())[:: 1 if at % 2 else -1]:
            await side.write(KINDS[0], first)
        first += _A_ROUND[200]
    for name, side in sides.items():
        side.disk = float(await side.connection.fetchval(_SIZE) - sizes[name]) / first
    for at in range(rounds):
        for kind in (*batches, *singles):
            for side in list(sides.values())[:: 1 if at % 2 else -1]:
                await side.write(kind, first + (_A_ROUND[200] if kind.flush == 1 else 0))
        first += _A_ROUND[200] + _A_ROUND[1]
        click.echo(f"round {at + 1} of {rounds}", err=True)


@asynccontextmanager
async def _at_work(cluster: Cluster, name: str, tree: Path) -> AsyncIterator[Side]:
    await cluster.execute(f"CREATE DATABASE {name}")
    url = named(cluster.url, name)
    driver = Path(__file__).with_name("write_driver.py")
    environment = os.environ | {"PYTHONPATH": str(tree)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(driver), url, stdin=PIPE, stdout=PIPE, env=environment, cwd=tree
    )
    connection = await asyncpg.connect(url)
    side = Side(process, connection, {kind: Costs() for kind in KINDS})
    try:
        await side.told()
        yield side
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await connection.close()
        await cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _ratio(sides: dict[str, Side], kind: Kind, name: str) -> float:
    """The middle one of the rounds' ratios."""
    now, base = (getattr(sides[side].costs[kind], name) for side in ("now", "base"))
    return median(a / b if b else 1.0 for a, b in zip(now, base, strict=True))


def _figures(side: Side) -> dict[str, Any]:
    of_kinds = {kind.what: {name: median(getattr(c, name)) for name in NAMES} for kind, c in side.costs.items()}
    return of_kinds | {"disk_bytes": side.disk}


def _text(base: str, sides: dict[str, Side]) -> str:
    was, now = _figures(sides["base"]), _figures(sides["now"])
    rows = []
    for kind in KINDS:
        cells = [f"{_ratio(sides, kind, name):.2f} ({now[kind.what][name]:,.0f})" for name in now[kind.what]]
        rows.append([kind.what, *cells])
    head = ("", "CPU of PostgreSQL's process, µs", "CPU of the client, µs", "WAL, bytes")
    return (
        f"### What a report costs, beside {base}\n\n{grid(head, rows)}\n\nRatios, and figures of now, each a report. "
        f"A message with one report takes {now['disk_bytes']:,.0f} bytes on the disk, "
        f"{now['disk_bytes'] / was['disk_bytes']:.2f} of what it took."
    )
