"""What the service asks of PostgreSQL before it relies on it: the right schema, and this version's catalogue."""

import asyncio
from typing import Final

import asyncpg

from receiver.store import catalogue_table, postgres
from receiver.store import schema as migrate
from receiver.store.database_error import as_operator_error
from receiver.store.schema import SchemaBehindError
from receiver.telemetry.logs import get_logger

_PATIENCE_S: Final = 3.0
"""The start waits for it and nothing listens meanwhile, so that a hung PostgreSQL must not take long."""

_AGAIN_S: Final = 10.0

log = get_logger()


async def is_ready(url: str, setting: str) -> bool:
    """Whether it is so now; False where nobody can tell. `setting` is where the URL comes from.

    Raises SchemaBehindError, and DatabaseError for a URL that cannot be used.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await _prepare(url)
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise as_operator_error(error, url, setting) from error
    except postgres.TRANSIENT as error:
        told = as_operator_error(error, url, setting)
        log.error("database.unreachable", error=type(error).__name__, detail=str(told))  # noqa: TRY400 - no bug
        return False
    return True


async def until_ready(url: str, setting: str) -> None:
    """For a PostgreSQL that was away when the service started. Of a schema that is behind, the log tells."""
    while True:
        await asyncio.sleep(_AGAIN_S)
        try:
            if await is_ready(url, setting):
                return
        except SchemaBehindError as error:
            log.error("database.schema_behind", error=str(error))  # noqa: TRY400 - the operator's to mend, no bug


async def _prepare(url: str) -> None:
    connection = await migrate.connect(url)
    try:
        await migrate.check(connection)
        if await catalogue_table.sync(connection):
            log.info("catalogue.loaded")
    finally:
        connection.terminate()  # without a farewell, for which a hung server would let us wait
