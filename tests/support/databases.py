"""Databases within the tests' PostgreSQL, made and dropped."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from receiver.store import catalogue_table
from receiver.store import schema as migrate
from support.waiting import DEADLINE_S


class Nodes(Protocol):
    """A cluster of several servers, each of which has every database."""

    async def create_database(self, name: str, template: str | None = None) -> None:
        """On each of them."""

    async def drop_database(self, name: str) -> None:
        """On each of them."""

    async def administrate_each(self, *statements: str) -> None:
        """On each of them, outside of every database of the tests."""


NODES: Final[dict[str, Nodes]] = {}
"""Of a cluster's URL, where there are several."""


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same cluster."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


async def administrate(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def create_database(cluster: str, name: str, template: str | None = None) -> None:
    """An empty one, or a copy of the template, to which nobody may be connected."""
    if nodes := NODES.get(cluster):
        await nodes.create_database(name, template)
    else:
        source = f"TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        await administrate(cluster, f"CREATE DATABASE {name} {source}")


async def administrate_each(cluster: str, *statements: str) -> None:
    """Run statements on every node of it: roles, say."""
    if nodes := NODES.get(cluster):
        await nodes.administrate_each(*statements)
    else:
        await administrate(cluster, *statements)


async def drop_database(cluster: str, name: str) -> None:
    """It may be in use."""
    if nodes := NODES.get(cluster):
        await nodes.drop_database(name)
    else:
        await administrate(cluster, f"DROP DATABASE {name} WITH (FORCE)")


async def fill_template(url: str, shards: int | None = None) -> None:
    """What every other database is a copy of: the schema and the code tables; `shards`: distributed into so many."""
    await migrate.upgrade(url, shards=shards)
    async with connected(url) as connection:
        await catalogue_table.sync(connection)


@asynccontextmanager
async def migrated_copy(cluster: str, template: str) -> AsyncIterator[str]:
    """URL of a database with the schema, which goes when the block ends."""
    name = f"copy_{uuid4().hex}"
    await create_database(cluster, name, template)
    try:
        yield with_database(cluster, name)
    finally:
        await drop_database(cluster, name)


class Copies:
    """Copies of the template, one made ahead of the test that asks for it, and dropped behind its back.

    Either waits for checkpoints and for every process of the server, which is most of what a short test would take.
    """

    def __init__(self, cluster: str, template: str) -> None:
        self._cluster, self._template = cluster, template
        self._numbers = count()
        self._making, self._dropping = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._next = self._making.submit(self._made)

    def _made(self) -> str:
        name = f"test_{next(self._numbers)}"
        asyncio.run(create_database(self._cluster, name, self._template))
        return name

    async def take(self) -> str:
        ready, self._next = self._next, self._making.submit(self._made)
        return await asyncio.wrap_future(ready)

    def drop(self, name: str) -> None:
        self._dropping.submit(lambda: asyncio.run(drop_database(self._cluster, name)))

    def close(self) -> None:
        """What is still there goes with the cluster."""
        self._making.shutdown()
        self._dropping.shutdown(cancel_futures=True)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that is cut at the end, whatever state it is in."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


_STEPPED_BACK: Final = (asyncpg.DeadlockDetectedError, asyncpg.InternalServerError)
"""The second is how Citus tells of a deadlock that another node has ended."""


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to a database that several tests share, without what the one before has stored."""
    async with connected(url) as connection:
        kept = "'code', 'catalogue', 'failure_class', 'partitioned_table', 'alembic_version'"
        kept += ", 'rejected_ring', 'counts_only'"
        tables = await connection.fetch(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'sms_data'::regnamespace"
            f" AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ({kept})"
            " AND relname !~ '_[0-9]{6}$'"  # the shards of a Citus
        )
        # A service that has just started looks after its partitions: of the two this one steps back, soon.
        await connection.execute("SET deadlock_timeout = '100ms'")
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with suppress(*_STEPPED_BACK):
                    await connection.execute(f"TRUNCATE {', '.join(row['name'] for row in tables)}")
                    break
        yield connection
