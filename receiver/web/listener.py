"""A listener: one aiohttp application on one address, with every wait bounded."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web

from receiver.settings import Settings
from receiver.web.tls import TlsSite

_LINGER_S: Final = 2.0
"""How long the rest of a body that was refused is read, so that the client gets to read the answer."""

_BACKLOG: Final = 1024

_SHOWN_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - it is not bound here


class Listener:
    """Opened with `open`; `drain` closes the door and lets those inside finish. With `tls` it speaks HTTPS only."""

    def __init__(
        self, app: web.Application, settings: Settings, host: str, port: int, tls: ssl.SSLContext | None = None
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
        self._tls = tls
        self._site: web.BaseSite | None = None

    @property
    def url(self) -> str:
        """Where it listens, as one would type it."""
        port = self._runner.addresses[0][1]
        return f"{'https' if self._tls else 'http'}://{_SHOWN_HOST.get(self._host, self._host)}:{port}"

    @asynccontextmanager
    async def open(self, *, reuse_port: bool) -> AsyncIterator[None]:
        """Listen while the block runs, then let requests under way finish."""
        await self._runner.setup()
        try:
            self._site = self._new_site(reuse_port=reuse_port)
            await self._site.start()
            yield
        finally:
            await self._runner.cleanup()

    def _new_site(self, *, reuse_port: bool) -> web.BaseSite:
        if self._tls is None:
            return web.TCPSite(self._runner, self._host, self._port, reuse_port=reuse_port or None, backlog=_BACKLOG)
        return TlsSite(self._runner, self._host, self._port, self._tls, reuse_port=reuse_port, backlog=_BACKLOG)

    async def drain(self, delay_s: float) -> None:
        """Take no new connections, and wait a moment for what comes on the open ones, whose next answer is the last."""
        self._draining = True
        if self._site is not None:
            await self._site.stop()
        await asyncio.sleep(delay_s)

    async def _say_farewell(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Or the client's next request would meet a connection that is being closed: lost, for who does not resend."""
        if self._draining:
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()
