"""What processes use: CPU from the kernel's counters, memory by sampling."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_EVERY_S: Final = 0.25
_MB: Final = 1_000_000


@dataclass(slots=True)
class Usage:
    """CPU seconds, and the peak of memory in MB: the service's from its start, PostgreSQL's while it was looked at."""

    service_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    service_peak_mb: float = 0.0
    database_peak_mb: float = 0.0


@asynccontextmanager
async def measured(service: int | None, postmaster: int) -> AsyncIterator[Usage]:
    """The usage while the block runs; it is filled in when the block ends."""
    usage = Usage()
    own, database = (_tree(psutil.Process(service)) if service else []), psutil.Process(postmaster)
    before = _cpu_s(own), _cpu_s(_tree(database))
    sampler = asyncio.create_task(_sample(database, usage))
    try:
        yield usage
    finally:
        sampler.cancel()
        usage.service_cpu_s = _cpu_s(own) - before[0]
        usage.database_cpu_s = _cpu_s(_tree(database)) - before[1]
        usage.service_peak_mb = sum(_peak_mb(one.pid) for one in own)


def processes(postmaster: int) -> list[psutil.Process]:
    """PostgreSQL's processes, the postmaster first."""
    return _tree(psutil.Process(postmaster))


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _cpu_s(several: Iterable[psutil.Process]) -> float:
    """Of the processes and of those of their children that have ended."""
    total = 0.0
    for process in several:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024 / _MB
    return 0.0


async def _sample(database: psutil.Process, usage: Usage) -> None:
    """Proportional set sizes: memory that PostgreSQL's processes share counts once."""
    while True:
        total = 0.0
        for process in _tree(database):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss / _MB
        usage.database_peak_mb = max(usage.database_peak_mb, total)
        await asyncio.sleep(_EVERY_S)
