"""Connections that a transaction pooler (PgBouncer) may stand before: each transaction may meet another server process.

What a connection remembers of a server process must not outlive a transaction: no prepared statements, no settings of
the session, no locks but those of the transaction. Migrations need the latter, and a connection without a pooler.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from receiver.store import sql

_APPLICATION: Final = "receiver"

T = TypeVar("T")

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    _Base = asyncpg.Connection  # generic in its stubs alone


class Connection(_Base):
    """To prepare a statement and to run it are two messages: here they are one transaction, if they are not in one."""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """A statement without arguments is one message, and may be one that no transaction may hold."""
        if not args:
            return await super().execute(query, timeout=timeout)
        return await self._together(super().execute, query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: object, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's
        """All rows."""
        return await self._together(super().fetch, query, *args, **options)

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's
        """One value."""
        return await self._together(super().fetchval, query, *args, **options)

    async def _together(self, run: Callable[..., Coroutine[Any, Any, T]], *args: object, **options: object) -> T:
        if self.is_in_transaction():
            return await run(*args, **options)
        transaction = self.transaction()
        await transaction.start()
        try:
            result = await run(*args, **options)
        except (asyncio.CancelledError, TimeoutError):
            self.terminate()  # a ROLLBACK would wait for who does not answer
            raise
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()
        return result


async def connect(url: str, *, timeout_s: float, command_timeout_s: float | None = None) -> Connection:
    """A connection, there within `timeout_s`."""
    return await asyncpg.connect(
        url,
        connection_class=Connection,
        timeout=timeout_s,
        command_timeout=command_timeout_s,
        statement_cache_size=0,
        server_settings={"application_name": _APPLICATION},
    )


async def prepared(connection: Connection) -> "PreparedStatement[asyncpg.Record] | None":
    """In a transaction: the main statement, prepared for good; None through a pooler, where it would get lost.

    A pooler cannot know the process id of the server that it will choose, and makes one up.
    """
    if await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid():
        return None
    return await connection.prepare(sql.STORE_REPORTS, name="store_reports")
