"""Accepts connections, many in one turn of the event loop, and keeps count of unfinished TLS handshakes.

The event loops' own servers accept one connection a turn (libuv) and report none before its handshake is done: under
load new connections would wait behind all requests, and handshakes that never end would go uncounted.

With TLS a new connection stays a bare socket until its ClientHello has arrived. A client that sends none, or half of
one, costs next to nothing, and is evicted by later ones. Sockets in the handshake have a limit of their own.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, Final

from receiver.addresses import socket_address
from receiver.server.eviction_pool import EvictionPool
from receiver.server.limiter import ConnectionLimiter
from receiver.telemetry.logs import get_logger

_ACCEPTS_PER_TURN: Final = 64
"""Most connections that are accepted in one turn."""

_SHARED_GROWTH: Final = 8
_SHARED_PAUSE_S: Final = 0.001
"""From a shared socket each process accepts few connections and then leaves some to the others."""

_PAUSE_S: Final = 0.5

_CLIENT_HELLO_S: Final = 0.5
"""An honest client's ClientHello has arrived by then, from the other side of the world too."""

_HANDSHAKE_S: Final = 1.0
"""An honest client's handshake is done by then."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: the kernel resets the connection and keeps no TIME_WAIT for it."""

_HANDSHAKE: Final = b"\x16"
_RECORD_HEADER: Final = 5
_MAX_RECORD: Final = 2**14
"""A TLS record: one byte of type, two of version, two of length, then at most this many (RFC 8446, section 5.1)."""

log = get_logger()


def handshake_limits(connections: int) -> tuple[int, int]:
    """With TLS, beside so many open connections: sockets without a whole ClientHello, and handshakes under way.

    A handshake takes some 80 KiB of memory, a socket that waits for its ClientHello hardly any.
    """
    return connections, max(1, connections // 2)


class Acceptor:
    """Accepts from `open` to `stop_accepting`; `abort_handshakes` also ends the unfinished handshakes."""

    def __init__(
        self,
        sockets: list[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        tls: Mapping[str, Any],
        limiter: ConnectionLimiter,
    ) -> None:
        self._sockets = sockets
        self._protocol = protocol
        self._tls = tls
        self._limiter = limiter
        silent, handshakes = handshake_limits(limiter.limits.connections)
        self._waiting: EvictionPool[socket.socket] = EvictionPool(silent, _CLIENT_HELLO_S)
        self._handshakes: EvictionPool[asyncio.Task[None]] = EvictionPool(handshakes, _HANDSHAKE_S)
        self._setups: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.shared = False
        """Whether other processes accept from the same sockets."""

    def open(self) -> None:
        """Accept from now on."""
        for one in self._sockets:
            self._loop.add_reader(one, self._accept, one)

    def stop_accepting(self) -> None:
        """Accept the connections in the kernel's queue, then close the listening sockets."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            self._accept(one, _ACCEPTS_PER_TURN)
            one.close()
        self._sockets = []

    async def abort_handshakes(self) -> None:
        """Stop accepting, and end every connection that has not finished its handshake."""
        self.stop_accepting()
        for connection in self._waiting:
            self._reset(connection)
        if self._expiry is not None:
            self._expiry.cancel()
        setups = list(self._setups)
        for task in setups:
            task.cancel()
        await asyncio.gather(*setups, return_exceptions=True)

    def _accept(self, one: socket.socket, most: int | None = None) -> None:
        for _ in range(most or self._accepts_per_turn()):
            try:
                connection, address = one.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no descriptors or no memory left: they may come back
                log.error("listener.paused", error=error.strerror)
                self._loop.remove_reader(one)
                self._loop.call_later(_PAUSE_S, self._resume, one)
                return
            connection.settimeout(0)
            if self._tls:
                self._admit(connection, self._limiter.client_of(socket_address(address)))
            else:
                self._start_transport(connection)
        if self.shared and most is None:
            self._loop.remove_reader(one)
            self._loop.call_later(_SHARED_PAUSE_S, self._resume, one)

    def _accepts_per_turn(self) -> int:
        """From a shared socket only an eighth more than are open: the processes' numbers grow side by side."""
        return min(_ACCEPTS_PER_TURN, 1 + len(self._limiter) // _SHARED_GROWTH) if self.shared else _ACCEPTS_PER_TURN

    def _resume(self, one: socket.socket) -> None:
        if one in self._sockets:
            self._loop.add_reader(one, self._accept, one)

    def _admit(self, connection: socket.socket, client: str | None) -> None:
        """A client at the limit per address loses its own oldest socket without a ClientHello first."""
        if client is not None and self._is_full_for(client):
            silent = self._waiting.oldest_of(client)
            if silent is None:
                self._limiter.metrics.connection_ended("full_for_address")
                self._reset(connection)
                return
            self._evict(silent)
        # A trusted proxy stands for many clients: each of its connections counts as one.
        self._read_client_hello(connection, client or object())

    def _is_full_for(self, client: str) -> bool:
        return self._limiter.is_full_for(client, self._waiting.number_of(client) + self._handshakes.number_of(client))

    def _read_client_hello(self, connection: socket.socket, client: Hashable) -> None:
        """Start the handshake if the whole ClientHello has arrived, else wait for it."""
        try:
            received = connection.recv(_RECORD_HEADER + _MAX_RECORD, socket.MSG_PEEK)
            if not received:
                self._reset(connection)
            elif len(received) < (size := _record_size(received)):
                # Readable only once the record is whole: a hello that drips in costs no turns of the loop.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
                self._wait_for(connection, client)
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                self._stop_waiting(connection)
                self._start_transport(connection, client)
        except (BlockingIOError, InterruptedError):
            self._wait_for(connection, client)
        except OSError:
            self._reset(connection)

    def _wait_for(self, connection: socket.socket, client: Hashable) -> None:
        if connection in self._waiting:
            return
        if evicted := self._waiting.add(connection, client, self._loop.time()):
            self._evict(evicted)
        self._loop.add_reader(connection, self._read_client_hello, connection, client)
        if self._expiry is None:
            self._expiry = self._loop.call_later(self._limiter.limits.head_s, self._expire)

    def _start_transport(self, connection: socket.socket, client: Hashable = None) -> None:
        task = self._loop.create_task(self._create_transport(connection))
        self._setups.add(task)
        task.add_done_callback(self._setups.discard)
        if not self._tls:
            return
        task.add_done_callback(self._handshakes.discard)
        if evicted := self._handshakes.add(task, client, self._loop.time()):
            evicted.cancel()
            self._limiter.metrics.connection_ended("gave_way")

    async def _create_transport(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, **self._tls)
        except OSError as error:  # TLS: not a handshake, a failed one, or too slow a one
            log.debug("http.not_let_in", error=type(error).__name__)

    def _evict(self, silent: socket.socket) -> None:
        self._limiter.metrics.connection_ended("gave_way")
        self._reset(silent)

    def _reset(self, connection: socket.socket) -> None:
        self._stop_waiting(connection)
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()

    def _stop_waiting(self, connection: socket.socket) -> None:
        """Stop waiting for its ClientHello, if it was waited for."""
        self._waiting.discard(connection)
        self._loop.remove_reader(connection)

    def _expire(self) -> None:
        """End sockets that have sent no ClientHello for as long as a request's head may take."""
        now, deadline_s = self._loop.time(), self._limiter.limits.head_s
        self._expiry = None
        while oldest := self._waiting.oldest():
            silent, since = oldest
            if now - since < deadline_s:
                self._expiry = self._loop.call_at(since + deadline_s, self._expire)
                return
            self._limiter.metrics.connection_ended("slow_head")
            self._reset(silent)


def _record_size(received: bytes) -> int:
    """Bytes of the TLS record that begins so, 0 while unknown; other than a handshake: 0, for TLS to refuse."""
    if not received.startswith(_HANDSHAKE):
        return 0
    size = int.from_bytes(received[3:_RECORD_HEADER], "big") if len(received) >= _RECORD_HEADER else 0
    return _RECORD_HEADER + size if size <= _MAX_RECORD else 0
