"""A listener: one aiohttp application on one address, with every wait and every number bounded."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

from aiohttp import hdrs, web

from receiver.addresses import Networks, url_of
from receiver.server.acceptor import Acceptor, places
from receiver.server.bind import Where, bind, shown
from receiver.server.descriptors import raise_nofile_limit
from receiver.server.limiter import ConnectionLimiter, Limits
from receiver.server.protocol import Connection
from receiver.settings import Settings
from receiver.telemetry.metrics import Metrics, set_from

_OPS_CONNECTIONS: Final = 256


class Listener:
    """Opened with `open`; `drain` closes the door and lets those inside finish.

    `tls` is what a connection is told of it; then it speaks HTTPS only. `name` is the setting that `host` comes from.
    """

    def __init__(
        self,
        app: web.Application,
        settings: Settings,
        limiter: ConnectionLimiter,
        host: str,
        port: int,
        tls: Mapping[str, Any] | None = None,
        name: str = "host",
    ) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=settings.shutdown_timeout_s)
        app.on_response_prepare.append(self._close_when_draining)
        self._keepalive_s = settings.keepalive_timeout_s
        self._limiter = limiter
        self._draining = False
        self._host = host
        self._port = port
        self._name = name
        self._bound = ""
        self._tls = tls or {}
        self._acceptor: Acceptor | None = None

    @property
    def url(self) -> str:
        """Where it listens, as one would type it."""
        return url_of(self._host, self._port, scheme="https" if self._tls else "http")

    @property
    def bound(self) -> str:
        """What it is bound to, `0.0.0.0:8080`: who can reach it hangs on that. Empty until it is open."""
        return self._bound

    @asynccontextmanager
    async def open(self, *, reuse_port: bool) -> AsyncIterator[None]:
        """Listen while the block runs, then let requests under way finish. Raises ListenError."""
        await self._runner.setup()
        guarding = asyncio.create_task(self._limiter.run())
        try:
            sockets = await bind(Where(self._host, self._port, self._name), reuse_port=reuse_port)
            self._bound = shown(sockets)
            self._port = sockets[0].getsockname()[1]
            self._acceptor = Acceptor(sockets, self._connection, self._tls, self._limiter)
            self._acceptor.open()
            yield
        finally:
            if self._acceptor is not None:
                await self._acceptor.shut()
            await self._runner.cleanup()
            guarding.cancel()
            with suppress(asyncio.CancelledError):
                await guarding

    async def drain(self, delay_s: float) -> None:
        """Take no new connections, and wait a moment for what comes on the open ones, whose next answer is the last."""
        self._draining = True
        if self._acceptor is not None:
            self._acceptor.close()
        await asyncio.sleep(delay_s)

    def _connection(self) -> Connection:
        """What aiohttp's own server would make, but ours."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("the listener is not open")
        return Connection(server, self._limiter, self._keepalive_s)

    async def _close_when_draining(self, request: web.Request, response: web.StreamResponse) -> None:
        """Or the client's next request would meet a connection that is being closed: lost, for who does not resend."""
        if cast("Connection", request.protocol).has_queued:
            # Thousands of pipelined requests must not be one turn of the loop (they are, from Python 3.12 on).
            await asyncio.sleep(0)
        if self._draining:
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()


def public_limiter(settings: Settings, metrics: Metrics) -> ConnectionLimiter:
    """For the listener of the callback URLs: strangers knock there."""
    entering = sum(places(settings.max_connections)) if settings.tls_certificate else 0
    connections = raise_nofile_limit(settings.max_connections, entering=entering)
    limits = _limits(settings, connections, settings.max_connections_per_address)
    limiter = ConnectionLimiter(limits, metrics)
    set_from(metrics.connections, lambda: len(limiter))
    return limiter


def ops_limiter(settings: Settings, metrics: Metrics) -> ConnectionLimiter:
    """For the ops listener."""
    return ConnectionLimiter(_limits(settings, _OPS_CONNECTIONS, None), metrics)


def _limits(settings: Settings, connections: int, per_address: int | None) -> Limits:
    return Limits(
        head_s=settings.header_timeout_s,
        read_s=settings.body_timeout_s,
        connections=connections,
        per_address=per_address,
        trusted=Networks(settings.trusted_proxies),
    )
