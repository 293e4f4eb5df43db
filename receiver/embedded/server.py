"""Runs the embedded PostgreSQL as a child process: start, supervise, stop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Final

import psutil

from receiver.embedded.account import account_for, check_reach, make_private
from receiver.embedded.binaries import usable_binaries
from receiver.embedded.datafolder import make_data_dir, prepare_pgdata
from receiver.embedded.errors import EmbeddedError, about
from receiver.embedded.layout import Layout, database_url, layout_of
from receiver.embedded.lock import locked
from receiver.embedded.log import trim_log
from receiver.embedded.postmaster import Plan, start, wait_until_ready
from receiver.embedded.processes import end_leftovers, stop
from receiver.telemetry.logs import get_logger

log = get_logger()

_WATCH_S: Final = 0.05
_TRIM_EVERY_S: Final = 60.0
_BACKOFF_S: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SETTLED_S: Final = 10.0
"""A server that ran for this long is restarted without delay; one that keeps dying is restarted with backoff."""


@dataclass(slots=True)
class EmbeddedServer:
    """The running server: a restart changes its process, never its URL."""

    url: str
    process: Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The postmaster's pid, or that of the last one."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs; it may still be recovering."""
        return self.process.poll() is None


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[EmbeddedServer]:
    """A PostgreSQL on `data_dir` with the database `receiver`: created if missing, restarted whenever it dies.

    Raises subclasses of `EmbeddedError`, all before it yields. Leave the block after the last write.
    """
    layout = layout_of(data_dir)
    async with AsyncExitStack() as stack:
        with about(data_dir):
            make_data_dir(layout)
            await stack.enter_async_context(locked(layout))
            plan = await _prepare(layout)
            server = EmbeddedServer(database_url(data_dir), start(plan))
        try:
            with about(data_dir):
                await wait_until_ready(server.process, layout)
            log.info("database.started", pid=server.pid, folder=str(layout.folder))
            async with _supervised(plan, server):
                yield server
        finally:
            await stop(server.process)
            log.info("database.stopped", pid=server.pid)


async def _prepare(layout: Layout) -> Plan:
    account = account_for(layout.pgdata)
    check_reach(layout.folder, account)
    binaries = await usable_binaries(layout.folder, account)
    await prepare_pgdata(layout, binaries, account)
    make_private(layout.sockets, account)
    await end_leftovers(layout)
    return Plan(layout, account, binaries)


@asynccontextmanager
async def _supervised(plan: Plan, server: EmbeddedServer) -> AsyncIterator[None]:
    supervisor = asyncio.create_task(_supervise(plan, server), name="embedded-postgresql")
    try:
        yield
    finally:
        supervisor.cancel()
        await asyncio.wait([supervisor])


async def _supervise(plan: Plan, server: EmbeddedServer) -> None:
    exits = 0
    while True:
        started = time.monotonic()
        await _wait_for_exit(server.process, plan.layout.log)
        exits = 0 if time.monotonic() - started > _SETTLED_S else exits + 1
        log.error("database.died", pid=server.pid, status=server.process.returncode)
        await _restart(plan, server, max(0, exits - 1))


async def _wait_for_exit(process: Popen[bytes], log_file: Path) -> None:
    """Wait by polling: a thread in `wait()` could not be cancelled, and the event loop did not start this child."""
    trimmed = time.monotonic()
    while process.poll() is None:
        await asyncio.sleep(_WATCH_S)
        if time.monotonic() - trimmed > _TRIM_EVERY_S:
            trim_log(log_file)
            trimmed = time.monotonic()


async def _restart(plan: Plan, server: EmbeddedServer, attempt: int) -> None:
    """Try for ever, with backoff: a full disk or a lack of memory can pass."""
    while True:
        await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
        try:
            await end_leftovers(plan.layout)
            server.process = start(plan)
            await wait_until_ready(server.process, plan.layout)
        except (EmbeddedError, OSError, psutil.Error) as error:
            attempt += 1
            log.error("database.restart_failed", attempt=attempt, error=str(error))
            await stop(server.process)
        else:
            log.warning("database.restarted", pid=server.pid)
            return
