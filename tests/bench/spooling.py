"""The spool: how fast it drains, alone and beside live traffic, and how long a caller waits when PostgreSQL hangs."""

import asyncio
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple
from uuid import uuid4

import psutil

from bench import servers, wrk
from bench.cluster import Cluster
from bench.usage import processes
from bench.wrk import Answers, Load
from receiver.inbound import Inbound
from receiver.store.spool_file import SpoolFile

_AT_ONCE: Final = 2_000
_MOST_S: Final = 60.0
"""A drain is watched no longer; its rate shows long before."""

_FORM: Final = (
    "sequence=1&total=1&orgCode=000&updateTime=2026-11-20T06%3A31%3A46Z&source=2&smsMsgId={}_1&status=DELIVRD"
)
_SPOOL_BYTES: Final = 8 * 1024**3
_HANG_AFTER_S: Final = 2.0


class Drain(NamedTuple):
    """Reports a second out of the spool and, meanwhile, over HTTP; PostgreSQL's share of a core is not looked at."""

    drained_s: float
    live_s: float
    drained: int


async def drain(cluster: Cluster, reports: int, live: Load | None) -> Drain:
    """A spool of so many single reports, and the receiver started on it with a PostgreSQL that is up."""
    folder = cluster.folder / "service"
    try:
        await asyncio.to_thread(fill, folder / "data" / "spool", reports)
        async with cluster.database() as url, servers.running("receiver", url, folder) as service:
            begun, before = perf_counter(), await depth(service)
            traffic = asyncio.create_task(_live(service.url, live))
            while (left := await depth(service)) and perf_counter() - begun < _MOST_S:
                await asyncio.sleep(0.2)
            spent = perf_counter() - begun
            answers = await _stopped(traffic)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sent = sum(one.requests - one.refused for one in answers)
    return Drain((before - left) / spent, sent / sum(one.seconds for one in answers) if sent else 0.0, before - left)


async def hang(cluster: Cluster, load: Load, seconds: float) -> Answers:
    """What callers see of a PostgreSQL that stops in the midst of the load, without a word, and goes on after it."""
    folder = cluster.folder / "service"
    try:
        async with cluster.database() as url, servers.running("receiver", url, folder) as service:
            traffic = asyncio.create_task(wrk.send(service.url, load, _HANG_AFTER_S + seconds))
            await asyncio.sleep(_HANG_AFTER_S)
            with _stopped_processes(processes(cluster.postmaster)):
                return await traffic
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, reports: int) -> None:
    """A spool of so many single reports."""
    file = SpoolFile(folder, _SPOOL_BYTES)
    for begin in range(0, reports, _AT_ONCE):
        file.append(_callback() for _ in range(min(_AT_ONCE, reports - begin)))
    file.close()


def _callback() -> Inbound:
    return Inbound(
        path="huawei/report",
        body=_FORM.format(uuid4()).encode(),
        content_type="application/x-www-form-urlencoded",
        received_at=datetime.now(UTC),
        remote_addr="127.0.0.1",
        request_id="0123456789abcdef",
    )


async def depth(service: servers.Server) -> int:
    callbacks: int = (await service.readiness())["spool"]["callbacks"]
    return callbacks


async def _live(url: str, load: Load | None) -> list[Answers]:
    answers: list[Answers] = []
    with suppress(asyncio.CancelledError):
        while load:
            answers.append(await wrk.send(url, load, 2.0))
    return answers


async def _stopped(traffic: "asyncio.Task[list[Answers]]") -> list[Answers]:
    traffic.cancel()
    return await traffic


@contextmanager
def _stopped_processes(several: list[psutil.Process]) -> Iterator[None]:
    """SIGSTOP, the children first, and SIGCONT at the end: to the service it looks like a disk that hangs."""
    try:
        for process in reversed(several):
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in several:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
