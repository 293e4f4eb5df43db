"""The rate over the size: the same load on a database that holds nothing, and millions of reports."""

import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import asyncpg
import click

from bench import servers, wrk
from bench.cluster import Cluster
from bench.measure import Result, figures
from bench.rounds import middle
from bench.usage import measured
from bench.wrk import Load

_CHUNK: Final = 1_000_000
_FILL: Final = """
WITH message AS (
    INSERT INTO sms_data.message (message_id, provider, recipient_key, status, code, happened_at, segments,
                                  segments_reported, first_received_at, report_id, part)
    SELECT gen_random_uuid() || '_1', 'huawei', '', 'delivered', 'DELIVRD', now(), 1, 1, now(), gen_random_uuid(), 1
    FROM generate_series(1, $1)
    ORDER BY 1
    RETURNING *
)
INSERT INTO sms_data.report (report_id, message_id, provider, segment, segments, status, code, operator_code,
                             reported_by, happened_at, received_at, remote_addr, raw)
SELECT report_id, message_id, provider, 1, 1, status, code, '000', 'smsc', happened_at, first_received_at, '127.0.0.1',
       jsonb_build_object('sequence', '1', 'total', '1', 'orgCode', '000', 'updateTime', '2026-11-20T06:31:46Z',
                          'source', '2', 'smsMsgId', message_id, 'status', 'DELIVRD')::text
FROM message
"""
"""In sorted chunks: quick, and each chunk still splits the index pages of those before."""


_SETTLE_S: Final = 20.0


class Rate(NamedTuple):
    """Right after a checkpoint, when the first change of each page writes the whole page; and when that is over."""

    stored: int
    early: Result
    settled: Result


async def grow(cluster: Cluster, sizes: Sequence[int], load: Load, times: int, seconds: float) -> list[Rate]:
    """The rate at each size, in reports that were there before; a database for each, and rounds in turn."""
    found: dict[int, list[tuple[Result, Result]]] = {size: [] for size in sizes}
    async with AsyncExitStack() as stack:
        urls = {size: await stack.enter_async_context(cluster.database()) for size in sizes}
        for size, url in urls.items():
            await _fill(url, size)
        for _ in range(times):
            for size, url in urls.items():
                early, settled = await _one(cluster, url, load, seconds)
                found[size].append((early, settled))
                told = f"{size:,} reports stored: {early.reports_s:,.0f}/s, then {settled.reports_s:,.0f}/s"
                click.echo(told, err=True)
    return [Rate(size, *(middle(results) for results in zip(*pairs, strict=True))) for size, pairs in found.items()]


async def _fill(url: str, rows: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET synchronous_commit = off; SET work_mem = '256MB'; SET jit = off")
    for begin in range(0, rows, _CHUNK):
        await connection.execute(_FILL, min(_CHUNK, rows - begin))
    for table in ("message", "report"):
        await connection.execute(f"VACUUM ANALYZE sms_data.{table}")
    await connection.close()


async def _one(cluster: Cluster, url: str, load: Load, seconds: float) -> tuple[Result, Result]:
    folder = cluster.folder / "service"
    await cluster.execute("CHECKPOINT")
    try:
        async with servers.running("receiver", url, folder) as service:
            await wrk.send(service.url, load, 1.0)
            early = await _measured(cluster, service, load, seconds)
            await wrk.send(service.url, load, _SETTLE_S)
            return early, await _measured(cluster, service, load, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(cluster: Cluster, service: servers.Server, load: Load, seconds: float) -> Result:
    async with measured(service.pid, cluster.postmaster) as usage:
        answers = await wrk.send(service.url, load, seconds)
    return figures(answers, usage, load)
