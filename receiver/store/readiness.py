"""Checks of PostgreSQL before the service uses it: the right schema, and this version's catalogue, synced."""

import asyncio
from typing import Final

import asyncpg

from receiver.store import catalogue_table, postgres
from receiver.store import schema as migrate
from receiver.store.database_error import as_operator_error
from receiver.store.racing import Refusal
from receiver.store.schema import SchemaBehindError
from receiver.telemetry.logs import get_logger

_TIMEOUT_S: Final = 3.0
"""The start waits for the check, and nothing listens meanwhile: a hung PostgreSQL must not take long."""

_RETRY_S: Final = 10.0

log = get_logger()


async def version_if_ready(url: str, setting: str, refused: Refusal | None = None) -> str | None:
    """PostgreSQL's version, `18.4`, if it is ready; None if it cannot be reached, or is refused.

    `setting` names the URL's setting in errors.

    Raises SchemaBehindError, and DatabaseError for a URL that cannot be used.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await _check(url, refused)
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise as_operator_error(error, url, setting) from error
    except postgres.TRANSIENT as error:
        explained = as_operator_error(error, url, setting)
        log.error("database.unreachable", error=type(error).__name__, detail=str(explained))
        return None


async def until_ready(url: str, setting: str, refused: Refusal | None = None) -> None:
    """Wait for a PostgreSQL that was away when the service started. Logs a schema that is behind."""
    while True:
        await asyncio.sleep(_RETRY_S)
        try:
            if await version_if_ready(url, setting, refused) is not None:
                return
        except SchemaBehindError as error:
            log.error("database.schema_behind", error=str(error))


async def _check(url: str, refused: Refusal | None) -> str:
    connection = await migrate.connect(url, refused, timeout_s=_TIMEOUT_S)
    try:
        found, known = await migrate.check(connection), migrate.head()
        if found != known:  # and so may be the catalogue there
            log.warning("database.schema_newer", schema=found, known=known)
        elif await catalogue_table.sync(connection):
            log.info("catalogue.loaded")
        server = connection.get_server_version()
        return f"{server.major}.{server.micro}"
    finally:
        connection.terminate()  # not `close`, which waits for a hung server
