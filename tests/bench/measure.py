"""One measurement: a fresh database, a service, a load, and the proof that nothing acknowledged is missing."""

import shutil
from dataclasses import dataclass
from typing import Final

import asyncpg

from bench import servers, wrk
from bench.cluster import TEMPLATE, Cluster
from bench.programs import BASE
from bench.usage import Usage, measured
from bench.visitors import visiting
from bench.wrk import Answers, Load

_WARM_UP_S: Final = 1.0
_POOL: Final = 20_000
"""Messages that the load `duplicates` goes round (load.lua)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one measurement, or the median of several. CPU is in cores, memory in MB."""

    reports_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    service_cores: float | None = None
    database_cores: float | None = None
    service_mb: float | None = None
    database_mb: float | None = None
    refused: int = 0


class LostError(Exception):
    """Something was acknowledged and is nowhere."""


async def measure(cluster: Cluster, server: str, load: Load, seconds: float, visitors: str | None = None) -> Result:
    """Raises LostError."""
    folder = cluster.folder / "service"
    try:
        async with cluster.database(BASE if server == BASE else TEMPLATE) as url:
            async with servers.running(server, url, folder) as service, visiting(service.ops_url, visitors):
                before = await wrk.send(service.url, load, _warm_up(load))
                async with measured(service.pid, cluster.postmaster) as usage:
                    answers = await wrk.send(service.url, load, seconds)
                spooled = await _spooled(service) if server == "receiver-down" else 0
            acknowledged = (before.requests - before.refused + answers.requests - answers.refused) * load.reports
            if server != "bare":
                await _check(url, load, acknowledged, spooled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures(answers, usage, load)


def figures(answers: Answers, usage: Usage, load: Load) -> Result:
    """A load's answers and what was used meanwhile, as rates."""
    return Result(
        reports_s=(answers.requests - answers.refused) * load.reports / answers.seconds,
        p50_ms=answers.p50_ms,
        p99_ms=answers.p99_ms,
        max_ms=answers.max_ms,
        service_cores=usage.service_cpu_s / answers.seconds,
        database_cores=usage.database_cpu_s / answers.seconds,
        service_mb=usage.service_peak_mb,
        database_mb=usage.database_peak_mb,
        refused=answers.refused + answers.broken,
    )


def _warm_up(load: Load) -> float:
    """Duplicates are such only once their pool has been sent."""
    return 4 * _WARM_UP_S if load.kind == "duplicates" else _WARM_UP_S


async def _spooled(service: servers.Server) -> int:
    callbacks: int = (await service.readiness())["spool"]["callbacks"]
    return callbacks


async def _check(url: str, load: Load, acknowledged: int, spooled: int) -> None:
    connection = await asyncpg.connect(url)
    stored = await connection.fetchval("SELECT count(*) FROM sms.delivery_report") + spooled * load.reports
    await connection.close()
    expected = min(acknowledged, _POOL) if load.kind == "duplicates" else acknowledged
    if stored < expected:
        raise LostError(f"{acknowledged} reports were acknowledged, {stored} are there")
