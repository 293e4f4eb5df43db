"""What a report costs the service: the costs of `make plan` that take a service under load."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from bench import cases, servers, spooling, wrk
from bench.cluster import Cluster
from bench.relay import relaying
from bench.usage import measured
from bench.wrk import Load

_SPOOLED: Final = 60_000
_DRAIN_S: Final = 120.0
_FEW: Final = (Load("single", 8), Load("batch", 8, 50))

Costs = dict[str, float]


class _Run(NamedTuple):
    """µs of the service's CPU a report, reports a commit, and memory."""

    service_us: float
    flush: float
    service_mb: float


async def measure(cluster: Cluster, flush_us: float, seconds: float, rounds: int) -> Costs:
    """The costs by their names in plan.costs; `flush_us` is what a commit costs the service."""
    runs: dict[str, list[_Run]] = {}
    for _ in range(rounds):
        for name, (server, load) in _RUNS.items():
            runs.setdefault(name, []).append(await _run(cluster, server, load, seconds))
    middle = {name: _Run(*(median(column) for column in zip(*found, strict=True))) for name, found in runs.items()}
    single, batch, down = (middle[name] for name in ("single", "batch", "down"))
    alone_us = single.service_us - flush_us / single.flush
    return {
        "service_single_us": alone_us,
        "service_batch_us": batch.service_us - flush_us / batch.flush,
        "service_spool_us": max(0.0, down.service_us - alone_us),
        "service_mb": middle["many"].service_mb,
        **await _drain(cluster),
        **await _http(cluster),
    }


_RUNS: Final = {
    "single": ("receiver", cases.SINGLE_64),
    "batch": ("receiver", cases.BATCH_16),
    "down": ("receiver-down", cases.SINGLE_64),
    "many": ("receiver", cases.SINGLE_512),
}


async def _run(cluster: Cluster, server: str, load: Load, seconds: float) -> _Run:
    async with _serving(cluster, server) as service:
        await wrk.send(service.url, load, 1.0)
        before = await _flushes(service)
        async with measured(service.pid, cluster.postmaster) as usage:
            answers = await wrk.send(service.url, load, seconds)
        after = await _flushes(service)
    return _Run(
        service_us=usage.service_cpu_s / (answers.requests - answers.refused) / load.reports * 1e6,
        flush=(after[0] - before[0]) / max(1.0, after[1] - before[1]),
        service_mb=usage.service_peak_mb,
    )


@asynccontextmanager
async def _serving(cluster: Cluster, server: str) -> AsyncIterator[servers.Server]:
    folder = cluster.folder / "service"
    try:
        async with cluster.database() as url, servers.running(server, url, folder) as service:
            yield service
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _flushes(service: servers.Server) -> tuple[float, float]:
    """Reports, and commits, since the service began."""
    return await _counted(service, "flush_reports_sum"), await _counted(service, "flush_reports_count")


async def _counted(service: servers.Server, name: str) -> float:
    """All samples of a metric."""
    async with aiohttp.ClientSession() as client, client.get(f"{service.ops_url}/metrics") as answer:
        told = await answer.text()
    return sum(map(float, re.findall(rf"^receiver_{name}(?:{{.*}})? (\S+)$", told, re.MULTILINE)))


async def _drain(cluster: Cluster) -> Costs:
    """CPU of the service while a spool empties; the spool's bytes a callback."""
    folder = cluster.folder / "service"
    try:
        spool = folder / "data" / "spool"
        await asyncio.to_thread(spooling.fill, spool, _SPOOLED)
        size = await asyncio.to_thread(_bytes, spool)
        async with cluster.database() as url, servers.running("receiver", url, folder) as service:
            async with measured(service.pid, cluster.postmaster) as usage, asyncio.timeout(_DRAIN_S):
                before = await spooling.depth(service)
                while left := await spooling.depth(service):
                    await asyncio.sleep(0.1)
            drained = before - left
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"service_drain_us": usage.service_cpu_s / drained * 1e6, "spool_bytes": size / _SPOOLED}


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


async def _http(cluster: Cluster) -> Costs:
    """Bytes of requests and answers as wrk sends them: a platform's own headers come on top."""
    found = []
    async with _serving(cluster, "receiver") as service, relaying(urlsplit(service.url).port or 80) as relay:
        for load in _FEW:
            before = await _counted(service, "http_requests_total")
            await wrk.send(f"http://127.0.0.1:{relay.port}", load, 1.0)
            await asyncio.sleep(0.5)  # wrk leaves the last ones alone
            sent, received = relay.taken()
            answered = await _counted(service, "http_requests_total") - before
            found.append((sent / answered / load.reports, received / answered))
    (single, answer), (batch, _) = found
    return {"http_in_single_bytes": single, "http_in_batch_bytes": batch, "http_out_bytes": answer}
