"""A listener: one aiohttp application or handler on one address, with every wait and every count bounded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiohttp import web

from receiver.addresses import Networks
from receiver.server.acceptor import Acceptor, handshake_limits
from receiver.server.bind import BoundSockets, format_addresses
from receiver.server.descriptors import raise_nofile_limit
from receiver.server.limiter import ConnectionLimiter, Limits
from receiver.server.protocol import Connection
from receiver.server.stop_told import StopTold
from receiver.settings import Settings
from receiver.telemetry.metrics import Metrics, set_from

_OPS_CONNECTIONS: Final = 256

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers every request of a listener."""


class Listener:
    """Serves inside `open`; `drain` stops accepting and lets requests under way finish.

    `tls` has the TLS arguments of `loop.connect_accepted_socket`; with them it speaks HTTPS only.
    """

    def __init__(
        self,
        app: web.Application | Handle,
        settings: Settings,
        limiter: ConnectionLimiter,
        sockets: BoundSockets,
        tls: Mapping[str, Any] | None = None,
    ) -> None:
        self._runner = _runner(app, settings.shutdown_timeout_s)
        self._keepalive_s = settings.keepalive_timeout_s
        self._limiter = limiter
        self._sockets = sockets
        self._url = sockets.url(https=bool(tls))
        self._bound = format_addresses(sockets.sockets)
        self._tls = tls or {}
        self._acceptor: Acceptor | None = None
        self._stop_told = StopTold(limiter, settings.shutdown_timeout_s)

    @property
    def url(self) -> str:
        """The URL to call it by, from this machine."""
        return self._url

    @property
    def bound(self) -> str:
        """The bound addresses, `0.0.0.0:8080`, several separated by commas."""
        return self._bound

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen while the block runs, then let requests under way finish. Raises ListenError."""
        await self._runner.setup()
        limiting = asyncio.create_task(self._limiter.run())
        try:
            self._sockets.listen()
            self._acceptor = Acceptor(self._sockets.sockets, self._connection, self._tls, self._limiter)
            self._acceptor.shared = self._sockets.shared
            self._acceptor.open()
            yield
        finally:
            if self._acceptor is not None:
                await self._acceptor.abort_handshakes()
            async with self._stop_told.until_stopped():
                await self._runner.cleanup()
            limiting.cancel()
            with suppress(asyncio.CancelledError):
                await limiting

    async def drain(self, delay_s: float) -> None:
        """Stop accepting, and go on for `delay_s`; each open connection is closed after its next answer."""
        self._limiter.draining = True
        if self._acceptor is not None:
            self._acceptor.stop_accepting()
        self._stop_told.tell(delay_s)
        await asyncio.sleep(delay_s)

    def _connection(self) -> Connection:
        """Protocol factory, in place of `aiohttp.web.Server`."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("the listener is not open")
        return Connection(server, self._limiter, self._keepalive_s)


def _runner(app: web.Application | Handle, shutdown_timeout_s: float) -> web.BaseRunner:
    if isinstance(app, web.Application):
        return web.AppRunner(app, handle_signals=False, shutdown_timeout=shutdown_timeout_s)
    return web.ServerRunner(web.Server(app), handle_signals=False, shutdown_timeout=shutdown_timeout_s)


def public_limiter(settings: Settings, metrics: Metrics) -> ConnectionLimiter:
    """Limits for the callback listener, which strangers can reach."""
    handshaking = sum(handshake_limits(settings.max_connections)) if settings.tls_certificate else 0
    connections = raise_nofile_limit(settings.max_connections, handshaking=handshaking)
    limits = _limits(settings, connections, settings.max_connections_per_address)
    limiter = ConnectionLimiter(limits, metrics)
    set_from(metrics.connections, lambda: len(limiter))
    return limiter


def ops_limiter(settings: Settings, metrics: Metrics) -> ConnectionLimiter:
    """Limits for the ops listener."""
    return ConnectionLimiter(_limits(settings, _OPS_CONNECTIONS, None), metrics)


def _limits(settings: Settings, connections: int, per_address: int | None) -> Limits:
    return Limits(
        head_s=settings.header_timeout_s,
        read_s=settings.body_timeout_s,
        connections=connections,
        per_address=per_address,
        trusted=Networks(settings.trusted_proxies),
    )
