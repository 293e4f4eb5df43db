"""One start of PostgreSQL: its command line, and the wait until it takes connections."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final

import asyncpg

from receiver.embedded.account import Account, spawn
from receiver.embedded.errors import StartFailed
from receiver.embedded.layout import DATABASE, PORT, SUPERUSER, Layout
from receiver.embedded.log import open_log, tail, trim_log

_FIXED: Final = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    # A failed row's DETAIL and statement would put phone numbers in the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
"""Set on the command line, which postgresql.conf and ALTER SYSTEM cannot override: durability is a contract."""

_START_S: Final = 600.0
"""Crash recovery on a slow disk takes minutes, and a restart would begin it anew."""

_POLL_S: Final = 0.01
_CONNECT_S: Final = 5.0
_CREATE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a start, the same for every restart."""

    layout: Layout
    account: Account
    binaries: Path


def start(plan: Plan) -> Popen[bytes]:
    """Start the postmaster. Not a coroutine: no cancellation can lose the process between its start and the return."""
    trim_log(plan.layout.log)
    settings = {**_FIXED, "unix_socket_directories": str(plan.layout.sockets)}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    with open_log(plan.layout.log) as output:
        return spawn([plan.binaries / "postgres", "-D", plan.layout.pgdata, *flags], plan.account, output)


async def wait_until_ready(process: Popen[bytes], layout: Layout) -> None:
    """Wait until the server takes connections, and create the database if it is missing. Raises `StartFailed`."""
    deadline = time.monotonic() + _START_S
    why = "no answer"
    while time.monotonic() < deadline:
        if (status := process.poll()) is not None:
            raise StartFailed(f"PostgreSQL ended while it started (status {status}):\n{tail(layout.log)}")
        try:
            return await _ensure_database(layout)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            why = str(error)
        await asyncio.sleep(_POLL_S)
    raise StartFailed(f"PostgreSQL took no connection within {_START_S:.0f} s ({why}):\n{tail(layout.log)}")


async def _ensure_database(layout: Layout) -> None:
    try:
        connection = await _connect(layout, DATABASE)
    except asyncpg.InvalidCatalogNameError:
        connection = await _connect(layout, "postgres")
        await connection.execute(f"CREATE DATABASE {DATABASE}", timeout=_CREATE_S)
    await connection.close(timeout=_CONNECT_S)


async def _connect(layout: Layout, database: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(
        host=str(layout.sockets), port=PORT, user=SUPERUSER, database=database, timeout=_CONNECT_S
    )
