"""Databases within the tests' PostgreSQL, made and dropped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg


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


@asynccontextmanager
async def migrated_copy(cluster: str, template: str) -> AsyncIterator[str]:
    """URL of a database with the schema, which goes when the block ends."""
    name = f"copy_{uuid4().hex}"
    await administrate(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield with_database(cluster, name)
    finally:
        await administrate(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that is cut at the end, whatever state it is in."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()
