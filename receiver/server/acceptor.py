"""The door: accepts connections, many in one turn of the event loop, and knows those whose TLS handshake is not done.

The event loops' own servers accept one connection a turn (libuv) and hand over none before its handshake is done: under
load newcomers would wait for everybody else's requests, and handshakes that never end would be counted by nobody.

With TLS a newcomer waits as a bare socket until its ClientHello is there: who does not send a whole one costs next to
nothing, and gives way to who came later. Handshakes have places of their own, so that neither takes the other's.
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

_AT_ONCE: Final = 64
"""Connections that are accepted in one turn."""

_PAUSE_S: Final = 0.5

_SPEAKS_S: Final = 0.5
"""In this time an honest client's ClientHello is there, from the other side of the world too."""

_SHAKES_HANDS_S: Final = 1.0
"""In this time its handshake is done."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time. Who never said anything must not be remembered by the kernel for a minute."""

_HANDSHAKE: Final = b"\x16"
_RECORD_HEAD: Final = 5
_MAX_RECORD: Final = 2**14
"""A TLS record: its type, two bytes of version, two of length, and so many bytes at most (RFC 8446, section 5.1)."""

log = get_logger()


def places(connections: int) -> tuple[int, int]:
    """With TLS: how many may have said nothing whole, and how many be in the handshake, beside so many connections.

    A handshake takes some 80 KiB of memory, who waits for its ClientHello hardly anything.
    """
    return connections, max(1, connections // 2)


class Acceptor:
    """`open` it; `close` lets nobody in any more, `shut` ends who is still in the handshake."""

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
        silent, handshakes = places(limiter.limits.connections)
        self._silent: EvictionPool[socket.socket] = EvictionPool(silent, _SPEAKS_S)
        self._handshakes: EvictionPool[asyncio.Task[None]] = EvictionPool(handshakes, _SHAKES_HANDS_S)
        self._entering: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
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
        for connection in self._silent:
            self._dismiss(connection)
        if self._expiry is not None:
            self._expiry.cancel()
        entering = list(self._entering)
        for task in entering:
            task.cancel()
        await asyncio.gather(*entering, return_exceptions=True)

    def _accept(self, one: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = one.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no descriptors or no memory left: they may come back
                log.error("listener.paused", error=error.strerror)  # noqa: TRY400 - a state of the machine, no bug
                self._loop.remove_reader(one)
                self._loop.call_later(_PAUSE_S, self._resume, one)
                return
            connection.settimeout(0)
            if self._tls:
                self._arrive(connection, self._limiter.client_of(socket_address(address)))
            else:
                self._enter(connection)

    def _resume(self, one: socket.socket) -> None:
        if one in self._sockets:
            self._loop.add_reader(one, self._accept, one)

    def _arrive(self, connection: socket.socket, client: str | None) -> None:
        """A client that has all the places of an address loses its own silent ones first."""
        if client is not None and self._is_full_for(client):
            silent = self._silent.oldest_of(client)
            if silent is None:
                self._limiter.metrics.connection_ended("full_for_address")
                self._dismiss(connection)
                return
            self._give_way(silent)
        # A trusted proxy stands for many clients: each of its connections counts as one.
        self._let_speak(connection, client or object())

    def _is_full_for(self, client: str) -> bool:
        return self._limiter.is_full_for(client, self._silent.number_of(client) + self._handshakes.number_of(client))

    def _let_speak(self, connection: socket.socket, client: Hashable) -> None:
        """Wait for its ClientHello, unless that is there."""
        try:
            said = connection.recv(_RECORD_HEAD + _MAX_RECORD, socket.MSG_PEEK)
            if not said:
                self._dismiss(connection)
            elif len(said) < (size := _record_size(said)):
                # The kernel then tells of it no sooner: a hello that comes in drops costs no turns of the loop.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
                self._wait_for(connection, client)
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                self._forget(connection)
                self._enter(connection, client)
        except (BlockingIOError, InterruptedError):
            self._wait_for(connection, client)
        except OSError:
            self._dismiss(connection)

    def _wait_for(self, connection: socket.socket, client: Hashable) -> None:
        if connection in self._silent:
            return
        if evicted := self._silent.add(connection, client, self._loop.time()):
            self._give_way(evicted)
        self._loop.add_reader(connection, self._let_speak, connection, client)
        if self._expiry is None:
            self._expiry = self._loop.call_later(self._limiter.limits.head_s, self._expire)

    def _enter(self, connection: socket.socket, client: Hashable = None) -> None:
        task = self._loop.create_task(self._let_in(connection))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)
        if not self._tls:
            return
        task.add_done_callback(self._handshakes.discard)
        if evicted := self._handshakes.add(task, client, self._loop.time()):
            evicted.cancel()
            self._limiter.metrics.connection_ended("gave_way")

    async def _let_in(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, **self._tls)
        except OSError as error:  # TLS: what is no handshake, or too slow a one
            log.debug("http.not_let_in", error=type(error).__name__)

    def _give_way(self, silent: socket.socket) -> None:
        self._limiter.metrics.connection_ended("gave_way")
        self._dismiss(silent)

    def _dismiss(self, connection: socket.socket) -> None:
        self._forget(connection)
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()

    def _forget(self, connection: socket.socket) -> None:
        """It is not waited for any more, if it was."""
        self._silent.discard(connection)
        self._loop.remove_reader(connection)

    def _expire(self) -> None:
        """End who has been silent for as long as the head of a request may take."""
        now, deadline_s = self._loop.time(), self._limiter.limits.head_s
        self._expiry = None
        while oldest := self._silent.oldest():
            silent, since = oldest
            if now - since < deadline_s:
                self._expiry = self._loop.call_at(since + deadline_s, self._expire)
                return
            self._limiter.metrics.connection_ended("slow_head")
            self._dismiss(silent)


def _record_size(said: bytes) -> int:
    """How long the record is that begins so, as far as that tells; what is no handshake is for TLS to refuse."""
    if not said.startswith(_HANDSHAKE):
        return 0
    size = int.from_bytes(said[3:_RECORD_HEAD], "big") if len(said) >= _RECORD_HEAD else 0
    return _RECORD_HEAD + size if size <= _MAX_RECORD else 0
