"""The embedded PostgreSQL: a real server, from the binaries of a wheel, for a service without a database URL.

    async with running(data_dir) as server:
        pool = await asyncpg.create_pool(server.url)

The data folder holds `postgresql/` (PostgreSQL's own data), `postgresql.log`, `receiver.lock`, `run/` (the private
socket), and `postgresql-18.x/` (a copy of the binaries) where the server's account cannot reach the wheel.

The programs and psutil come with the extra `embedded`: `running` imports them, and says so if they are missing.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from receiver.embedded.binaries import PACKAGE
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
from receiver.extras import require

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from receiver.embedded.server import EmbeddedServer

_NEEDED: Final = ("psutil", PACKAGE)

__all__ = [
    "BinariesError",
    "DataFolderError",
    "DataFolderInUse",
    "DataVersionError",
    "EmbeddedError",
    "StartFailed",
    "database_url",
    "in_use",
    "require_programs",
    "running",
]


def require_programs() -> None:
    """Raises MissingExtraError if the programs, or what runs them, are not installed."""
    require(
        "embedded",
        _NEEDED,
        why="RECEIVER_DATABASE_URL is not set, and the embedded PostgreSQL",
        instead="set RECEIVER_DATABASE_URL",
    )


def running(data_dir: Path) -> "AbstractAsyncContextManager[EmbeddedServer]":
    """A PostgreSQL on `data_dir` with the database `receiver`: created if missing, restarted whenever it dies.

    Raises MissingExtraError, and before it yields subclasses of `EmbeddedError`. Leave the block after the last write.
    """
    require_programs()
    from receiver.embedded import server  # noqa: PLC0415 - it imports psutil

    return server.running(data_dir)
