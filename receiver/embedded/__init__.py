"""The embedded PostgreSQL: a real server, from the binaries of a wheel, for a service without a database URL.

    async with running(data_dir) as server:
        pool = await asyncpg.create_pool(server.url)

What lies in the data folder: `postgresql/` (PostgreSQL's own data), `postgresql.log`, `receiver.lock`,
`run/` (the private socket), and `postgresql-18.x/` (a copy of the binaries) where the server's account cannot
reach the wheel.
"""

from receiver.embedded.errors import (
    BinariesError,
    DataFolderError,
    DataFolderInUse,
    DataVersionError,
    EmbeddedError,
    StartFailed,
)
from receiver.embedded.layout import database_url
from receiver.embedded.lock import in_use
from receiver.embedded.server import EmbeddedServer, running

__all__ = [
    "BinariesError",
    "DataFolderError",
    "DataFolderInUse",
    "DataVersionError",
    "EmbeddedError",
    "EmbeddedServer",
    "StartFailed",
    "database_url",
    "in_use",
    "running",
]
