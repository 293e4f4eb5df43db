"""Another PostgreSQL than the embedded one, from programs that are installed on the machine."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from receiver.embedded.account import account_for, make_private, spawn
from receiver.embedded.datafolder import make_data_dir
from receiver.embedded.layout import PORT, SUPERUSER, layout_of
from receiver.embedded.log import open_log
from support.databases import connected

VARIABLE: Final = "TEST_POSTGRESQL_BIN"
"""Environment variable with the folder of `initdb` and `postgres` for the tests' cluster. Unset: the embedded ones."""

_START_S: Final = 60.0
_INITDB: Final = (f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust")
_SETTINGS: Final = {"listen_addresses": "", "fsync": "off", "max_connections": "50", "timezone": "UTC"}


@asynccontextmanager
async def running(folder: Path, binaries: Path) -> AsyncIterator[str]:
    """The URL of a cluster of the tests' own, made in `folder`, which any user must be able to enter."""
    layout = layout_of(folder)
    make_data_dir(layout)
    account = account_for(layout.pgdata)
    make_private(layout.pgdata, account)
    make_private(layout.sockets, account)
    flags = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    flags.append(f"--unix_socket_directories={layout.sockets}")
    with open_log(layout.log) as output:
        made = spawn([binaries / "initdb", f"--pgdata={layout.pgdata}", *_INITDB], account, output)
        assert await asyncio.to_thread(made.wait, _START_S) == 0, layout.log.read_text()
        process = spawn([binaries / "postgres", "-D", layout.pgdata, f"--port={PORT}", *flags], account, output)
    url = f"postgresql://{SUPERUSER}@/postgres?host={layout.sockets}&port={PORT}"
    try:
        async with asyncio.timeout(_START_S):
            while not await _answers(url):
                assert process.poll() is None, layout.log.read_text()
                await asyncio.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


async def _answers(url: str) -> bool:
    try:
        async with connected(url):
            return True
    except (OSError, asyncpg.PostgresError):
        return False


def chosen() -> Path | None:
    """The folder of the programs that the environment names."""
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None
