"""What a report costs PostgreSQL, its network and its standby: the costs of `make plan` that need no service."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import asyncpg
from support import cluster
from support.cluster import Cluster
from support.standby import allow_replication, base_backup

from bench.driving import Driver, driving
from bench.relay import Relay, relaying
from receiver.store.maintenance import counts, retention

_SETTINGS: Final = {
    "autovacuum": "off",
    "max_wal_size": "20GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
}
"""Nothing beside the writes."""

_FLUSH: Final = 200
_ROUND: Final = 2_000
_LONE: Final = 100
_STORED: Final = 200_000
_AFTER_CHECKPOINT: Final = 100

_SIZES: Final = """
SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relkind = 'r') AS everything,
       sum(pg_relation_size(oid)) FILTER (WHERE relname = 'message_pkey') AS key,
       sum(pg_relation_size(oid)) FILTER (WHERE relkind = 'i' AND relname ~ '^report_2.*(message_id|recipient)') AS day
FROM pg_class
WHERE relnamespace = 'sms_data'::regnamespace AND relname ~ '^(message|report|envelope)' AND relname !~ '_delta|_count'
"""
_AT_RANDOM: Final = """
SELECT pg_relation_filenode(oid) FROM pg_class
WHERE relnamespace = 'sms_data'::regnamespace AND relkind = 'i'
      AND (relname = 'message_pkey' OR relname ~ '^report_2.*(message_id|recipient)')
"""
_LSN: Final = "SELECT pg_current_wal_insert_lsn()"
_SINCE: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::bigint"
_OTHERS: Final = """
SELECT pid FROM pg_stat_activity
WHERE pid = pg_backend_pid() OR backend_type IN ('checkpointer', 'background writer', 'walwriter', 'io worker')
"""
_FSYNCS: Final = "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"
_WHOLE_PAGE: Final = re.compile(r"rel \d+/\d+/(\d+) .*?\(FPW\); hole: offset: \d+, length: (\d+)")

Costs = dict[str, float]

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def measure(folder: Path, rounds: int) -> Costs:
    """The costs by their names in plan.costs, on a PostgreSQL in `folder`, on a disk, that any user may enter."""
    try:
        async with cluster.running(folder / "primary", _SETTINGS) as primary:
            name = await primary.new_database()
            sql = await asyncpg.connect(primary.url(name))
            try:
                return await _all(primary, name, sql, folder, rounds)
            finally:
                sql.terminate()
    finally:
        for name in ("primary", "standby", "received"):
            shutil.rmtree(folder / name, ignore_errors=True)


async def _all(primary: Cluster, name: str, sql: "Connection", folder: Path, rounds: int) -> Costs:
    async with driving(primary.url(name)) as driver:
        found = await _disk(driver, sql)
        found |= await _writes(driver, sql, rounds)
        found |= await _fsyncs(driver, sql)
        found |= await _upkeep(driver, sql)
        found |= await _sizes(driver, sql)
        found |= await _pages(primary, driver, sql, rounds)
        async with relaying(primary.port) as relay:
            found |= await _network(primary, name, driver.messages, relay)
            found |= await _replication(primary, driver, sql, relay, folder / "received")
        found |= await _standby(primary, driver, sql, folder / "standby")
    return found | await _retention(sql)


async def _disk(driver: Driver, sql: "Connection") -> Costs:
    """Every fifth message has a second report: their states go into the room that pages have for such."""
    sizes = [await sql.fetchval(_SIZES)]
    written = 10 * _ROUND, 2 * _ROUND
    for count, code, stride in zip(written, ("ACCEPTD", "DELIVRD"), (1, 5), strict=True):
        await driver.write(count, code, _FLUSH, first=0, stride=stride)
        sizes.append(await sql.fetchval(_SIZES))
    first, second = (float(b - a) / count for (a, b), count in zip(pairwise(sizes), written, strict=True))
    return {"disk_first_bytes": first, "disk_second_bytes": second}


_KINDS: Final = (("first", "ACCEPTD", True), ("second", "DELIVRD", False), ("duplicate", "DELIVRD", False))


async def _writes(driver: Driver, sql: "Connection", rounds: int) -> Costs:
    """CPU and WAL by kind, in flushes and one by one; of the difference, a commit's."""
    seen: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        for flush, count in ((_FLUSH, _ROUND), (1, _LONE)):
            begin = driver.messages
            for kind, code, new in _KINDS:
                before = await sql.fetchval(_LSN)
                cost = await driver.write(count, code, flush, first=begin)
                wal = float(await sql.fetchval(_SINCE, before)) / count
                assert cost.stored == (0 if kind == "duplicate" else count), (kind, new, cost)
                seen.setdefault((kind, flush), []).append((cost.backend_us, cost.client_us, wal))
    middle = {key: [median(column) for column in zip(*rows, strict=True)] for key, rows in seen.items()}
    share = 1 / (1 - 1 / _FLUSH)
    commit = [(one - many) * share for one, many in zip(middle["first", 1], middle["first", _FLUSH], strict=True)]
    found = {"database_flush_us": commit[0], "service_flush_us": commit[1], "wal_flush_bytes": commit[2]}
    for kind, _, _ in _KINDS:
        backend, _, wal = middle[kind, _FLUSH]
        found[f"database_{kind}_us"] = backend - commit[0] / _FLUSH
        found[f"wal_{kind}_bytes"] = max(0.0, wal - commit[2] / _FLUSH)
    return found


async def _fsyncs(driver: Driver, sql: "Connection") -> Costs:
    """A backend tells of its own once a second, at the end of a transaction."""
    counted = []
    for count in (1, _LONE):
        await driver.write(count, "ACCEPTD", 1)
        await asyncio.sleep(1.2)
        await driver.write(1, "ACCEPTD", 1)
        await sql.execute("SELECT pg_stat_clear_snapshot()")
        counted.append(await sql.fetchval(_FSYNCS))
    return {"commit_fsyncs": (counted[1] - counted[0]) / (_LONE + 1)}


async def _upkeep(driver: Driver, sql: "Connection") -> Costs:
    """What comes after so many reports, beside their own CPU: a checkpoint, a vacuum, and the folding of counts."""
    others = [row[0] for row in await sql.fetch(_OTHERS)]
    before = sum(map(_on_cpu_us, others))
    count = _STORED - driver.messages
    cost = await driver.write(count, "ACCEPTD", _FLUSH)
    for statement in ("CHECKPOINT", "VACUUM ANALYZE sms_data.message", "VACUUM ANALYZE sms_data.report"):
        await sql.execute(statement)
    await counts.fold(sql)
    return {"database_other": (sum(map(_on_cpu_us, others)) - before) / count / cost.backend_us}


async def _sizes(driver: Driver, sql: "Connection") -> Costs:
    row = await sql.fetchrow(_SIZES)
    reports = await sql.fetchval("SELECT count(*) FROM sms.delivery_report")
    assert row is not None
    return {"key_bytes": float(row["key"]) / driver.messages, "day_bytes": float(row["day"]) / reports}


async def _pages(primary: Cluster, driver: Driver, sql: "Connection", rounds: int) -> Costs:
    """Of a few reports after a checkpoint: the pages of the indexes that are written whole."""
    names = {str(row[0]) for row in await sql.fetch(_AT_RANDOM)}
    found: dict[str, list[float]] = {"first_pages": [], "second_pages": [], "wal_page_bytes": []}
    for _ in range(rounds):
        begin = driver.messages
        for name, code in (("first_pages", "ACCEPTD"), ("second_pages", "DELIVRD")):
            await sql.execute("CHECKPOINT")
            before = await sql.fetchval(_LSN)
            await driver.write(_AFTER_CHECKPOINT, code, _AFTER_CHECKPOINT, first=begin)
            pages = await asyncio.to_thread(_whole_pages, primary, before, await sql.fetchval(_LSN), names)
            found[name].append(len(pages) / _AFTER_CHECKPOINT)
            found["wal_page_bytes"] += [sum(pages) / len(pages)]
    return {name: median(figures) for name, figures in found.items()}


def _whole_pages(primary: Cluster, begin: int, end: int, names: set[str]) -> list[int]:
    """Bytes of each whole page of these relations in this part of the WAL."""
    part = [f"--{name}={at >> 32:X}/{at & 0xFFFFFFFF:X}" for name, at in (("start", begin), ("end", end))]
    command = [primary._binaries / "pg_waldump", "-b", "-p", primary.layout.pgdata / "pg_wal", *part]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [8_192 - int(hole) for name, hole in _WHOLE_PAGE.findall(told) if name in names]


async def _network(primary: Cluster, name: str, first: int, relay: Relay) -> Costs:
    """A process of its own, through the relay."""
    taken = {}
    async with driving(primary.url(name, port=relay.port)) as driver:
        for flush, count in ((_FLUSH, 5 * _ROUND), (1, _LONE)):
            await driver.write(flush, "ACCEPTD", flush, first=first)  # what is asked once
            relay.taken()
            await driver.write(count, "ACCEPTD", flush, first=first + flush)
            taken[flush] = sum(relay.taken()) / count
            first += count + flush
    commit = (taken[1] - taken[_FLUSH]) / (1 - 1 / _FLUSH)
    return {"sql_flush_bytes": commit, "sql_in_bytes": taken[_FLUSH] - commit / _FLUSH}


async def _replication(primary: Cluster, driver: Driver, sql: "Connection", relay: Relay, folder: Path) -> Costs:
    """By the protocol that a standby speaks: the WAL, and what is around it."""
    await allow_replication(primary)
    await asyncio.to_thread(folder.mkdir)
    where = ["-h", "127.0.0.1", "-p", str(relay.port), "-U", "postgres", "-D", str(folder)]
    process = await asyncio.create_subprocess_exec(str(primary._binaries / "pg_receivewal"), *where)
    try:
        await _until(lambda: relay.received > 0)
        await asyncio.sleep(1)
        relay.taken()
        before = await sql.fetchval(_LSN)
        driver.messages += _STORED
        await driver.write(5 * _ROUND, "ACCEPTD", _FLUSH)
        wal = float(await sql.fetchval(_SINCE, before))
        await _until(lambda: relay.received >= wal)
        await asyncio.sleep(1)
        return {"replication": relay.received / float(await sql.fetchval(_SINCE, before))}
    finally:
        process.kill()
        await process.wait()


async def _standby(primary: Cluster, driver: Driver, sql: "Connection", folder: Path) -> Costs:
    """CPU of the one process that replays, with first and later reports."""
    standby = primary.beside(folder, _SETTINGS)
    await base_backup(primary, standby)
    try:
        await standby.start()
        there = await asyncpg.connect(standby.url("postgres"))
        replaying = await there.fetchval("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'")
        before = _on_cpu_us(replaying)
        begin = driver.messages
        for code in ("ACCEPTD", "DELIVRD"):
            await driver.write(10 * _ROUND, code, _FLUSH, first=begin)
        until = await sql.fetchval(_LSN)
        while await there.fetchval("SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), $1) < 0", until):
            await asyncio.sleep(0.05)
        spent_us = _on_cpu_us(replaying) - before
        there.terminate()
    finally:
        standby.kill()
    return {"standby_us": spent_us / (20 * _ROUND)}


async def _retention(sql: "Connection") -> Costs:
    """All that is there, as if it were old; by this connection."""
    pid = await sql.fetchval("SELECT pg_backend_pid()")
    before = _on_cpu_us(pid)
    gone = await retention.retire(sql, (datetime.now(UTC) + timedelta(days=2)).date(), 0.0)
    return {"database_retention_us": (_on_cpu_us(pid) - before) / gone.deleted}


def _on_cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e3


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.05)
