"""The PostgreSQL of a run: the embedded one, in a folder on a disk, with a fresh database for every measurement."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from receiver import embedded
from receiver.store import catalogue_table
from receiver.store import schema as migrate
from receiver.store.maintenance.partitions import maintain

TEMPLATE: Final = "bench_template"


@dataclass(frozen=True, slots=True)
class Cluster:
    """`folder` is for whatever a measurement writes beside the database."""

    url: str
    postmaster: int
    folder: Path

    async def template(self, name: str, prepare: Callable[[str], Awaitable[None]]) -> None:
        """Make a database, and let it be prepared, for `database` to copy."""
        await self.execute(f'CREATE DATABASE "{name}"')
        await prepare(named(self.url, name))

    @asynccontextmanager
    async def database(self, template: str = TEMPLATE) -> AsyncIterator[str]:
        """URL of a database with the schema, partitions and nothing else; what came before is on the disk by then."""
        name = f"bench_{next(_numbers)}"
        await self.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"', "CHECKPOINT")
        try:
            yield named(self.url, name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()


_numbers = count(1)


@asynccontextmanager
async def running(parent: Path) -> AsyncIterator[Cluster]:
    """A cluster in a new folder under `parent`. As root, PostgreSQL runs as somebody who must be able to enter it."""
    folder = _new_folder(parent)
    try:
        async with embedded.running(folder / "cluster") as server:
            cluster = Cluster(server.url, server.pid, folder)
            await cluster.template(TEMPLATE, _prepare)
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(url: str) -> None:
    await migrate.upgrade(url)
    connection = await asyncpg.connect(url)
    await catalogue_table.sync(connection)
    await connection.close()
    await maintain(url, days_ahead=7, retention_days=None)


def _new_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="receiver-bench-", dir=parent)).resolve()
    folder.chmod(0o711)
    return folder


def named(url: str, name: str) -> str:
    """The URL of another database of the same cluster."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
