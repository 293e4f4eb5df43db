"""The faults, by name: each breaks something while its block runs, and heals it afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import asyncpg

from support.cluster import APPLICATION
from support.proxy import Mode
from support.rig import Rig

Fault = Callable[[Rig], AbstractAsyncContextManager[None]]

_RELOAD: Final = "SELECT pg_reload_conf()"
READ_ONLY: Final = ("ALTER SYSTEM SET default_transaction_read_only = on", _RELOAD)
READ_WRITE: Final = ("ALTER SYSTEM RESET default_transaction_read_only", _RELOAD)
_DISCONNECT: Final = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{APPLICATION}'"


def network(mode: Mode) -> Fault:
    """The network between service and PostgreSQL, as the proxy plays it."""

    @asynccontextmanager
    async def fault(rig: Rig) -> AsyncIterator[None]:
        await rig.proxy.set(mode)
        try:
            yield
        finally:
            await rig.proxy.set("pass")

    return fault


@asynccontextmanager
async def postgresql_killed(rig: Rig) -> AsyncIterator[None]:
    """kill -9, and started again by whoever looks after it."""
    rig.cluster.kill()
    try:
        yield
    finally:
        await rig.cluster.start()


@asynccontextmanager
async def postgresql_restarted(rig: Rig) -> AsyncIterator[None]:
    """As for an upgrade."""
    await rig.cluster.stop()
    try:
        yield
    finally:
        await rig.cluster.start()


@asynccontextmanager
async def postgresql_paused(rig: Rig) -> AsyncIterator[None]:
    """SIGSTOP: it takes connections by the kernel's courtesy and says nothing."""
    rig.cluster.pause()
    try:
        yield
    finally:
        rig.cluster.resume()


@asynccontextmanager
async def backends_terminated(rig: Rig) -> AsyncIterator[None]:
    """pg_terminate_backend on every connection of the service, again and again."""
    stop = asyncio.Event()

    async def terminate() -> None:
        while not stop.is_set():
            await rig.cluster.administrate(_DISCONNECT)

    task = asyncio.create_task(terminate())
    try:
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def read_only(rig: Rig) -> AsyncIterator[None]:
    """The database made read-only, as after a failover to a replica."""
    await rig.cluster.administrate(*READ_ONLY)
    try:
        yield
    finally:
        await rig.cluster.administrate(*READ_WRITE)


@asynccontextmanager
async def no_connections_left(rig: Rig) -> AsyncIterator[None]:
    """53300 for every new connection, and the open ones gone."""
    await rig.cluster.administrate(f"ALTER ROLE {APPLICATION} CONNECTION LIMIT 0", _DISCONNECT)
    try:
        yield
    finally:
        await rig.cluster.administrate(f"ALTER ROLE {APPLICATION} CONNECTION LIMIT -1")


@asynccontextmanager
async def table_locked(rig: Rig) -> AsyncIterator[None]:
    """Somebody's ALTER TABLE that does not end."""
    stop = asyncio.Event()
    locked = asyncio.Event()

    async def lock() -> None:
        connection = await asyncpg.connect(rig.cluster.socket_url(rig.database))
        async with connection.transaction():
            await connection.execute("LOCK TABLE sms_data.message IN ACCESS EXCLUSIVE MODE")
            locked.set()
            await stop.wait()
        await connection.close()

    task = asyncio.create_task(lock())
    try:
        await locked.wait()
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def partition_missing(rig: Rig) -> AsyncIterator[None]:
    """Today's partition is detached, and the service may not make another."""
    day = datetime.now(UTC).strftime("%Y%m%d")
    create = "EXECUTE ON FUNCTION sms_data.create_partitions(date)"
    await rig.cluster.administrate(
        f"REVOKE {create} FROM sms_writer",
        f"ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_{day}",
        database=rig.database,
    )
    try:
        yield
    finally:
        await rig.cluster.administrate(f"GRANT {create} TO sms_writer", database=rig.database)


@asynccontextmanager
async def postgresql_disk_full(rig: Rig) -> AsyncIterator[None]:
    """No file may grow beyond what it has (EFBIG in ENOSPC's stead): tables first, then the log of transactions."""
    rig.cluster.limit_files(64 * 1024)
    try:
        yield
    finally:
        rig.cluster.limit_files(None)
        await rig.cluster.recovered()


FAULTS: Final[dict[str, Fault]] = {
    "postgresql killed": postgresql_killed,
    "postgresql restarted": postgresql_restarted,
    "postgresql paused": postgresql_paused,
    "backends terminated": backends_terminated,
    "read-only": read_only,
    "no connections left": no_connections_left,
    "table locked": table_locked,
    "partition missing": partition_missing,
    "postgresql disk full": postgresql_disk_full,
    "network cut": network("cut"),
    "network reset": network("reset"),
    "network black hole": network("blackhole"),
    "network delay 500 ms": network("delay"),
}
"""Those that leave the service alone."""


@asynccontextmanager
async def service_killed(rig: Rig) -> AsyncIterator[None]:
    """kill -9, and started again at once, whatever else is broken."""
    await rig.service.kill()
    await rig.service.start()
    yield


@asynccontextmanager
async def service_killed_afterwards(rig: Rig) -> AsyncIterator[None]:
    """kill -9 when the other fault has lasted: with a spool that is full of reports."""
    yield
    await rig.service.kill()
    await rig.service.start()


@asynccontextmanager
async def service_terminated(rig: Rig) -> AsyncIterator[None]:
    """SIGTERM, which it must obey with exit code 0, and started again."""
    assert await rig.service.terminate() == 0, rig.service.tail()
    await rig.service.start()
    yield


@asynccontextmanager
async def spool_disk_full(rig: Rig) -> AsyncIterator[None]:
    """No file of the service may grow."""
    rig.service.limit_files(4096)
    try:
        yield
    finally:
        rig.service.limit_files(None)


SERVICE_FAULTS: Final[dict[str, Fault]] = {
    "service killed": service_killed,
    "service killed when it ends": service_killed_afterwards,
    "service terminated": service_terminated,
    "spool's disk full": spool_disk_full,
}


@asynccontextmanager
async def worker_killed(rig: Rig) -> AsyncIterator[None]:
    """kill -9 of one of the service's workers."""
    rig.service.workers()[0].kill()
    yield


@asynccontextmanager
async def workers_killed_afterwards(rig: Rig) -> AsyncIterator[None]:
    """kill -9 of them all when the other fault has lasted: with spools that are full of reports."""
    yield
    for worker in rig.service.workers():
        worker.kill()


@asynccontextmanager
async def workers_replaced(rig: Rig) -> AsyncIterator[None]:
    """One after the other, as for an upgrade."""
    await rig.service.replace_workers()
    yield


WORKER_FAULTS: Final[dict[str, Fault]] = {
    "worker killed": worker_killed,
    "workers killed when it ends": workers_killed_afterwards,
    "workers replaced": workers_replaced,
}
"""Those of a service with workers."""
