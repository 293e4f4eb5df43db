"""A listener: one aiohttp application on one address, with every wait bounded."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from aiohttp import hdrs, web

from receiver.settings import Settings

_LINGER_S: Final = 2.0
"""How long the rest of a body that was refused is read, so that the client gets to read the answer."""

_BACKLOG: Final = 1_024

_SHOWN_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - it is not bound here


class Listener:
    """Opened with `open`; `drain` closes the door and lets those inside finish.

    `tls` is what `create_server` is told of it; then it speaks HTTPS only.
    """

    def __init__(
        self, app: web.Application, settings: Settings, host: str, port: int, tls: Mapping[str, Any] | None = None
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            auto_decompress=False,
            keepalive_timeout=settings.keepalive_timeout_s,
            lingering_time=_LINGER_S,
            shutdown_timeout=settings.shutdown_timeout_s,
        )
        app.on_response_prepare.append(self._say_farewell)
        self._draining = False
        self._host = host
        self._port = port
        self._tls = tls or {}
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens, as one would type it."""
        return f"{'https' if self._tls else 'http'}://{_SHOWN_HOST.get(self._host, self._host)}:{self._port}"

    @asynccontextmanager
    async def open(self, *, reuse_port: bool) -> AsyncIterator[None]:
        """Listen while the block runs, then let requests under way finish."""
        await self._runner.setup()
        try:
            # Not aiohttp's TCPSite, which has no way to say how long a TLS handshake may take.
            self._server = await asyncio.get_running_loop().create_server(
                cast("web.Server", self._runner.server),
                self._host,
                self._port,
                backlog=_BACKLOG,
                reuse_port=reuse_port or None,
                **self._tls,
            )
            self._port = self._server.sockets[0].getsockname()[1]
            yield
        finally:
            self._close()
            await self._runner.cleanup()

    async def drain(self, delay_s: float) -> None:
        """Take no new connections, and wait a moment for what comes on the open ones, whose next answer is the last."""
        self._draining = True
        self._close()
        await asyncio.sleep(delay_s)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _say_farewell(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Or the client's next request would meet a connection that is being closed: lost, for who does not resend."""
        if self._draining:
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()
