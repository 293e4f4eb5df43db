"""Reading for people, beside the write path: a small pool of its own, read-only transactions, a limit to every wait.

It connects when it is first asked, so that nothing waits for a PostgreSQL that is away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg.transaction import Transaction

from receiver.database_hosts import Wanted, wanted
from receiver.reading.errors import ReadError, ReadUnavailable, as_read_error, busy, too_long
from receiver.settings import Settings, variable
from receiver.store import connecting
from receiver.store.postgres import TRANSIENT
from receiver.store.standing import Standing

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

PAGE: Final = 1_000
"""Rows of a stream that are in memory at once."""

_CLOSE_S: Final = 2.0
_IDLE_S: Final = 60.0

_SETUP: Final = """
SELECT set_config('statement_timeout', '{timeout_ms}', true),
       set_config('idle_in_transaction_session_timeout', '{idle_ms}', true),
       set_config('client_connection_check_interval', '1s', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('jit', 'off', true);
SELECT set_config('role', rolname, true) FROM pg_roles
WHERE rolname = 'sms_reader'
  AND pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
"""
"""Of a transaction. No parallel workers: a question takes one core at most. The role, where the login may take it."""


_SPREAD: Final = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """In seconds, and connections: `queries` for questions, beside them `streams` for what is read row by row.

    `statement_s` is PostgreSQL's; `stream_s` is for a whole stream, with the time that its reader takes.
    """

    queries: int = 4
    streams: int = 2
    acquire_s: float = 2.0
    connect_s: float = 3.0
    statement_s: float = 5.0
    stream_s: float = 1_800.0
    stream_statement_s: float = 60.0
    pause_s: float = 1.0
    """For how long nobody tries to connect again after a failure: a page has several questions."""


class Reader:
    """Answers questions in SQL. Every method raises ReadError. `opened` makes one.

    Of several hosts it asks the one that is `wanted`, and none any longer that `is_old`.
    """

    def __init__(
        self,
        url: str,
        setting: str,
        limits: Limits,
        wanted: Wanted = Wanted.READ_WRITE,
        is_old: Callable[[Standing], bool] = lambda _: False,
    ) -> None:
        self._url, self._setting, self.limits, self._wanted = url, setting, limits, wanted
        self._is_old = is_old
        self._queries, self._streams = asyncio.Semaphore(limits.queries), asyncio.Semaphore(limits.streams)
        self._pool: Pool | None = None
        self._away: tuple[float, str] | None = None
        self._spread: bool | None = None

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """All rows. Say LIMIT: they are in memory. `timeout_s` takes the place of `limits.statement_s`."""
        given_s = timeout_s or self.limits.statement_s
        async with self._turn(self._queries, self.limits.queries), self._connection() as connection:
            async with self._asking(given_s):
                transaction = await _begun(connection, given_s, given_s)
                rows: list[asyncpg.Record] = await connection.fetch(query, *args)
                await transaction.commit()
            return rows

    async def fetchrow(self, query: str, *args: object, timeout_s: float | None = None) -> asyncpg.Record | None:
        """The first row, if there is one."""
        rows = await self.fetch(query, *args, timeout_s=timeout_s)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *args: object, timeout_s: float | None = None) -> Any:  # noqa: ANN401 - asyncpg's
        """The first row's first value; None if there is no row."""
        row = await self.fetchrow(query, *args, timeout_s=timeout_s)
        return row[0] if row else None

    async def spread(self) -> bool:
        """Whether the tables are spread over the nodes of Citus. It is asked once."""
        if self._spread is None:
            self._spread = bool(await self.fetchval(_SPREAD))
        return self._spread

    @asynccontextmanager
    async def stream(
        self, query: str, *args: object, page: int = PAGE
    ) -> AsyncIterator[AsyncIterator[Sequence[asyncpg.Record]]]:
        """Its rows in order, of one moment, `page` of them at a time; what is not asked for is never read.

        The block's end ends the query, by whichever way it is left.
        """
        async with self._turn(self._streams, self.limits.streams), self._connection() as connection:
            try:
                async with asyncio.timeout(self.limits.stream_s) as deadline:
                    yield self._pages(connection, query, args, page)
            except TimeoutError as error:
                if deadline.expired():
                    raise too_long(self.limits.stream_s) from error
                raise
            if connection.is_in_transaction():  # it was not read to its end
                connection.terminate()

    async def _pages(
        self, connection: "Connection", query: str, args: Sequence[object], page: int
    ) -> AsyncIterator[Sequence[asyncpg.Record]]:
        given_s = self.limits.stream_statement_s
        async with self._asking(given_s):
            transaction = await _begun(connection, given_s, self.limits.stream_s)
            cursor = await connection.cursor(query, *args)
            rows: Sequence[asyncpg.Record] = await cursor.fetch(page)
        while rows:
            yield rows
            async with self._asking(given_s):
                rows = await cursor.fetch(page) if len(rows) == page else []
        async with self._asking(given_s):
            await transaction.commit()

    @asynccontextmanager
    async def _asking(self, given_s: float) -> AsyncIterator[None]:
        """Errors of PostgreSQL explained. Later than PostgreSQL would have ended a statement, it does not answer."""
        try:
            async with asyncio.timeout(given_s + self.limits.connect_s):
                yield
        except TRANSIENT as error:
            raise self._explained(error, given_s) from error

    @asynccontextmanager
    async def _turn(self, places: asyncio.Semaphore, number: int) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.acquire_s):
                await places.acquire()
        except TimeoutError as error:
            raise busy(number) from error
        try:
            yield
        finally:
            places.release()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["Connection"]:
        connection = await self._acquired()
        try:
            yield connection
        except BaseException:
            with suppress(asyncpg.InterfaceError):  # the server has ended it, and the pool has it back
                connection.terminate()  # a ROLLBACK would wait for a server that does not answer
            raise
        finally:
            if self._pool is not None:
                await self._pool.release(connection, timeout=_CLOSE_S)

    async def _acquired(self) -> "Connection":
        if self._away and time.monotonic() < self._away[0]:
            raise ReadUnavailable(self._away[1])
        try:
            if self._pool is None:
                self._pool = await self._new_pool()
            connection = await self._of_now(self._pool)
        except TRANSIENT as error:
            raise self._explained(error, self.limits.connect_s) from error
        self._away = None
        return connection

    async def _of_now(self, pool: "Pool") -> "Connection":
        """A connection; those to a server that was superseded by a promotion are cut on the way."""
        for _ in range(self.limits.queries + self.limits.streams):
            connection: Connection = await pool.acquire(timeout=self.limits.connect_s)
            found: Standing | None = getattr(connection, "standing", None)  # the pool's proxy hides its type
            if found is None or not self._is_old(found):
                return connection
            connection.terminate()
            await pool.release(connection)
        raise ConnectionError("an old primary answers alone")

    async def _new_pool(self) -> "Pool":
        return await asyncpg.create_pool(
            min_size=0,
            max_size=self.limits.queries + self.limits.streams,
            max_inactive_connection_lifetime=_IDLE_S,
            connection_class=connecting.Connection,
            connect=self._connect,
            reset=_nothing,
        )

    async def _connect(self, *_: Any, **__: Any) -> connecting.Connection:  # noqa: ANN401 - asyncpg's
        return await connecting.connect(self._url, timeout_s=self.limits.connect_s, wanted=self._wanted)

    def _explained(self, error: Exception, given_s: float) -> ReadError:
        explained = as_read_error(error, self._url, self._setting, given_s)
        if isinstance(error, OSError):
            self._away = time.monotonic() + self.limits.pause_s, str(explained)
        return explained

    async def close(self) -> None:
        """Close every connection; those that still answer somebody are cut after a moment."""
        pool = self._pool
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await pool.close()
        except TRANSIENT:
            pool.terminate()


@asynccontextmanager
async def opened(
    settings: Settings,
    own_url: str,
    limits: Limits | None = None,
    is_old: Callable[[Standing], bool] = lambda _: False,
) -> AsyncIterator[Reader]:
    """A reader of `RECEIVER_READ_DATABASE_URL`, or of the service's own database; it connects when it is asked."""
    given = settings.read_database_url
    url = given.get_secret_value() if given else own_url
    setting = variable("read_database_url") if given else settings.database_setting
    # What was answered is seen at once on the primary alone: a standby is read from where a setting says so.
    reader = Reader(url, setting, limits or Limits(), wanted(url) if given else Wanted.READ_WRITE, is_old)
    try:
        yield reader
    finally:
        await reader.close()


async def _begun(connection: "Connection", timeout_s: float, idle_s: float) -> Transaction:
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    await connection.execute(_SETUP.format(timeout_ms=int(timeout_s * 1000), idle_ms=int(idle_s * 1000)))
    return transaction


async def _nothing(_connection: object) -> None:
    """No state outlives a transaction, so there is none to reset when a connection goes back."""
