"""Databases for the stories of a whole file, beside those of conftest that one test has to itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from conftest import administrate, with_database


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
