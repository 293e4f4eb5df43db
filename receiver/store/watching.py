"""A look at a long statement from a second connection: PostgreSQL's own progress, and what it waits for.

For a terminal alone. It changes nothing, and an error of it ends nothing but the look.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg

from receiver.store.told import Told

_AFTER_S: Final = 1.0
_EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 5.0

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]

_PROGRESS: Final = """
SELECT concat_ws(' ', phase, relid::regclass) AS phase, done, total FROM (
    SELECT pid, relid, phase,
           CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END AS done,
           CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END AS total
    FROM pg_stat_progress_create_index
    UNION ALL SELECT pid, relid, phase, heap_blks_scanned, heap_blks_total FROM pg_stat_progress_vacuum
    UNION ALL SELECT pid, relid, phase, heap_blks_scanned, heap_blks_total FROM pg_stat_progress_cluster
    UNION ALL SELECT pid, relid, phase, sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze
    UNION ALL SELECT pid, relid, lower(command) || ' rows of', tuples_processed, 0 FROM pg_stat_progress_copy
) AS progress WHERE pid = $1
"""

_BLOCKERS: Final = """
SELECT pid, usename, application_name, extract(epoch FROM now() - xact_start)::integer AS seconds
FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY xact_start LIMIT 1
"""

_UNCONFIRMED: Final = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'"


@dataclass(slots=True)
class Backend:
    """The server process to look at, None while it is not known, and a name for its work."""

    label: str
    pid: int | None = None


@asynccontextmanager
async def watched(connect: Connect, backend: Backend, told: Told) -> AsyncIterator[None]:
    """Tell about the backend's statements while the block runs."""
    if not told.shown:
        yield
        return
    looking = asyncio.create_task(_look(connect, backend, told))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _look(connect: Connect, backend: Backend, told: Told) -> None:
    await asyncio.sleep(_AFTER_S)
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await connect()
        try:
            phase = lock = ""
            while True:
                if backend.pid is not None:
                    phase = await _tell_phase(connection, backend, told, phase)
                    lock = await _tell_lock(connection, backend, told, lock)
                await asyncio.sleep(_EVERY_S)
        finally:
            connection.terminate()


async def _tell_phase(
    connection: "asyncpg.Connection[asyncpg.Record]", backend: Backend, told: Told, before: str
) -> str:
    """Tell a new phase, and how far it is. Takes the one before, returns the one now, both empty for none."""
    found = await connection.fetchrow(_PROGRESS, backend.pid, timeout=_TIMEOUT_S)
    phase, done, total = found or ("", 0, 0)
    if phase != before:
        told.stage(f"{backend.label}: {phase}" if phase else backend.label, total or None)
    if phase:
        told.reach(done, total or None)
    return phase


async def _tell_lock(
    connection: "asyncpg.Connection[asyncpg.Record]", backend: Backend, told: Told, before: str
) -> str:
    found = await connection.fetchrow(_BLOCKERS, backend.pid, timeout=_TIMEOUT_S)
    lock = _lock(found) if found else ""
    if not found and await connection.fetchrow(_UNCONFIRMED, backend.pid, timeout=_TIMEOUT_S) is not None:
        lock = "waits for a synchronous standby, which has to confirm this"
    if lock != before:
        told.note(lock)
    return lock


def _lock(blocker: asyncpg.Record) -> str:
    who = ", ".join(filter(None, (blocker["usename"], blocker["application_name"])))
    since = f" for {blocker['seconds']} s" if blocker["seconds"] is not None else ""
    return f"waits for a lock that process {blocker['pid']} ({who}) has held{since}"
