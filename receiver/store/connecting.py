"""Connections that work through a transaction pooler (PgBouncer): each transaction may run on another server process.

So no state of a server process may outlive a transaction: no prepared statements, session settings or session locks.
Migrations need session locks, and so a connection without a pooler.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from receiver import database_hosts
from receiver.database_hosts import Wanted
from receiver.store import names, standing
from receiver.store.racing import MAY_PASS, Refusal, Unsuitable, race
from receiver.store.standing import Standing

_APPLICATION: Final = "receiver"

_LEAST_S: Final = 0.001
"""The driver takes no time-out of nothing."""

_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)
"""A machine that is silent is given up after a minute (tcp(7); in seconds, the last in milliseconds): migrations and
maintenance have no time-out of their statements, which may take hours."""

T = TypeVar("T")

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    _Base = asyncpg.Connection  # generic in its stubs alone


class Connection(_Base):
    """Runs each statement with arguments in a transaction: asyncpg prepares and executes it in two messages.

    `url` is of its host alone; `standing` is that host's, where the URL named several.
    """

    url: str
    standing: Standing | None = None

    def __init__(self, protocol: Any, transport: asyncio.Transport, *described: Any) -> None:  # noqa: ANN401 - asyncpg's
        super().__init__(protocol, transport, *described)
        connected: socket.socket = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            for option in _KEEPALIVE:
                connected.setsockopt(*option)

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """A statement without arguments is one message, and may be one that cannot run in a transaction."""
        if not args:
            return await super().execute(query, timeout=timeout)
        return await self._in_transaction(super().execute, query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: object, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's
        """All rows."""
        return await self._in_transaction(super().fetch, query, *args, **options)

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's
        """One value."""
        return await self._in_transaction(super().fetchval, query, *args, **options)

    async def _in_transaction(self, run: Callable[..., Coroutine[Any, Any, T]], *args: object, **options: object) -> T:
        if self.is_in_transaction():
            return await run(*args, **options)
        transaction = self.transaction()
        await transaction.start()
        try:
            result = await run(*args, **options)
        except (asyncio.CancelledError, TimeoutError):
            self.terminate()  # a ROLLBACK would wait for a server that does not answer
            raise
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()
        return result


async def connect(
    url: str,
    *,
    timeout_s: float,
    command_timeout_s: float | None = None,
    wanted: Wanted = Wanted.READ_WRITE,
    refused: Refusal = lambda _url, _found: None,
) -> Connection:
    """A connection, within `timeout_s`; `command_timeout_s` is the default time-out of its statements.

    Of several hosts the one that is `wanted`, whatever the URL says, and not `refused`. Raises NoHost.
    """

    async def open_one(one: str) -> Connection:
        return await _open(one, timeout_s, command_timeout_s)

    urls = database_hosts.each(url)
    if len(urls) == 1:
        return await _open(urls[0], timeout_s, command_timeout_s)
    found = await race(urls, open_one, wanted, refused, timeout_s)
    found.connection.standing = found.standing
    return found.connection


async def judge(connection: Connection, refused: Refusal) -> None:
    """Cut the connection if its server is refused, and raise Unsuitable; of one host alone `connect` does not ask."""
    try:
        found = connection.standing or await standing.ask(connection)
        reason = refused(connection.url, found)
    except BaseException:
        connection.terminate()
        raise
    if reason:
        connection.terminate()
        raise Unsuitable(reason)


async def _open(url: str, timeout_s: float, command_timeout_s: float | None) -> Connection:
    clock = asyncio.get_running_loop().time
    ends_at = clock() + timeout_s
    async with asyncio.timeout_at(ends_at):
        await names.look_up(url)
    try:
        connection: Connection = await asyncpg.connect(
            url,
            connection_class=Connection,
            timeout=max(ends_at - clock(), _LEAST_S),
            command_timeout=command_timeout_s,
            statement_cache_size=0,
            server_settings={"application_name": _APPLICATION},
        )
    except MAY_PASS:
        raise
    except Exception as error:  # of the driver itself, as where something answers that is no PostgreSQL
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    connection.url = url
    return connection
