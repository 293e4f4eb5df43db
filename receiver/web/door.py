"""The door: accepts connections, many in one turn of the event loop, and knows those whose TLS handshake is not done.

The event loops' own servers accept one connection a turn (libuv) and hand over none before its handshake is done: under
load newcomers would wait for everybody else's requests, and handshakes that never end would be counted by nobody.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from receiver.logs import get_logger
from receiver.metrics import Metrics

_BACKLOG: Final = 1_024
_AT_ONCE: Final = 64
"""Connections that are accepted in one turn."""

_MOST_ENTERING: Final = 256
"""Handshakes under way, fewer than there are spare descriptors; beyond it the oldest gives way: no honest one is."""

_PAUSE_S: Final = 0.5

log = get_logger()


async def bind(host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    """A listening socket for each address of the host. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            opened.append(one)
            _listen(one, address, reuse_port=reuse_port)
    except BaseException:
        for one in opened:
            one.close()
        raise
    return opened


def _listen(one: socket.socket, address: Any, *, reuse_port: bool) -> None:  # noqa: ANN401 - as the socket module has it
    one.settimeout(0)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        one.bind(address)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address[0]}, port {address[1]}: {error.strerror}") from error
    one.listen(_BACKLOG)


class Door:
    """`open` it; `close` lets nobody in any more, `shut` ends who is still in the handshake."""

    def __init__(
        self,
        sockets: list[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        tls: Mapping[str, Any],
        metrics: Metrics,
    ) -> None:
        self._sockets = sockets
        self._protocol = protocol
        self._tls = tls
        self._metrics = metrics
        self._entering: dict[asyncio.Task[None], None] = {}
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Accept from now on."""
        for one in self._sockets:
            self._loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Take in who waits in the kernel's queue, and nobody after that."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            self._accept(one)
            one.close()
        self._sockets = []

    async def shut(self) -> None:
        """Wait for nobody."""
        self.close()
        entering = list(self._entering)
        for task in entering:
            task.cancel()
        await asyncio.gather(*entering, return_exceptions=True)

    def _accept(self, one: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = one.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no descriptors or no memory left: they may come back
                log.error("listener.paused", error=error.strerror)  # noqa: TRY400 - a state of the machine, no bug
                self._loop.remove_reader(one)
                self._loop.call_later(_PAUSE_S, self._resume, one)
                return
            self._enter(connection)

    def _resume(self, one: socket.socket) -> None:
        if one in self._sockets:
            self._loop.add_reader(one, self._accept, one)

    def _enter(self, connection: socket.socket) -> None:
        if len(self._entering) >= _MOST_ENTERING:
            oldest = next(iter(self._entering))
            del self._entering[oldest]
            oldest.cancel()
            self._metrics.connection_ended("gave_way")
        task = self._loop.create_task(self._let_in(connection))
        self._entering[task] = None
        task.add_done_callback(lambda done: self._entering.pop(done, None))

    async def _let_in(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, **self._tls)
        except OSError as error:  # TLS: what is no handshake, or too slow a one
            log.debug("http.not_let_in", error=type(error).__name__)
