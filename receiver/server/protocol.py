"""A connection: aiohttp's, with deadlines that it lacks, and a sense of whose it is.

aiohttp bounds an idle connection and leaves the rest to a proxy in front: a head may drip in for the whole keep-alive
time, an answer that nobody reads is waited for without end. How far a head or a body has come is seen here from what
aiohttp's parser made of each piece.
"""

import asyncio
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from receiver.addresses import socket_address
from receiver.server.aiohttp_private import RequestProtocol
from receiver.server.forwarded import client_address
from receiver.server.limiter import FRESH_S, SLOW_S, ConnectionLimiter, Limits
from receiver.telemetry.metrics import Ended

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head that does not come in one piece. A platform's is below 2 KiB."""

MAX_HEADERS: Final = 100
"""aiohttp bounds each of them, name and value, and the request line, at 8190 bytes."""

_RAW_RESPONSE: Final = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SERVICE_UNAVAILABLE: Final = _RAW_RESPONSE % b"503 Service Unavailable\r\nRetry-After: 5"
_RAW_RESPONSES: Final[dict[Ended, bytes]] = {
    "slow_head": _RAW_RESPONSE % b"408 Request Timeout",
    "large_head": _RAW_RESPONSE % b"431 Request Header Fields Too Large",
}

SERVER: Final = "receiver"
"""aiohttp would tell its version and Python's. An answer that is sent in pieces has to say it itself, in its head."""

_LINGER_S: Final = 2.0
"""How long the rest of a body that was refused is read, so that the client gets to read the answer."""

_LAST_WORDS_S: Final = 1.0
"""In this time the client takes the farewell, or does not."""

_SLOW, _IDLE, _YOUNG = 0, 1, 2
"""Ranks in which connections give way: a head or a body that comes suspiciously slowly, or an answer that is not
read; then the idle; then what may just have begun."""


class Connection(RequestProtocol):
    """`peer` is the address at the other end of the socket, `proxied` whether a trusted proxy is there."""

    __slots__ = (
        "_body",
        "_body_since",
        "_closing_since",
        "_head_bytes",
        "_head_since",
        "_limiter",
        "_paused_since",
        "_seen",
        "_stream",
        "peer",
        "proxied",
    )

    def __init__(self, manager: web.Server, limiter: ConnectionLimiter, keepalive_s: float) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive_s,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp documents it for AppRunner
            max_headers=MAX_HEADERS,
            lingering_time=_LINGER_S,
            auto_decompress=False,
        )
        self._limiter = limiter
        self.peer: str | None = None
        self.proxied = False
        # aiohttp's own `transport` is gone once it has asked for a close, done or not.
        self._stream: asyncio.Transport | None = None
        self._seen = 0
        self._head_since = 0.0
        self._head_bytes = 0
        self._body: Any = None
        self._body_since = 0.0
        self._paused_since = 0.0
        self._closing_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = socket_address(transport.get_extra_info("peername"))
        self.proxied = self._limiter.limits.trusted.has(self.peer)
        self._stream = cast("asyncio.Transport", transport)
        now = self._head_since = self.loop.time()
        if self._limiter.admit(self, now):
            super().connection_made(transport)
        else:
            self.take_nothing()
            self._part(self._stream, _SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limiter.leave(self)
        self._stream = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.heads_parsed == self._seen:
            self._piece_came(data)
        else:
            self._note_requests()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """What stood behind an upgrade that is declined is parsed in here, and not as data that came.

        Every answer that aiohttp makes comes through here, to what is no HTTP too.
        """
        resp.headers[hdrs.SERVER] = SERVER
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self.heads_parsed != self._seen:
                self._note_requests()

    def _note_requests(self) -> None:
        self._seen = self.heads_parsed
        self._head_since, self._body = 0.0, None
        if self.has_queued and not (body := self.last_queued_body).is_eof():
            self._body, self._body_since = body, self.loop.time()

    def _piece_came(self, data: bytes) -> None:
        """No head ended with it: it is of a body, or of a head that is not there yet."""
        if self._body is not None:
            if self._body.is_eof():
                self._body = None
            return
        if data and not self._head_since:
            self._head_since, self._head_bytes = self.loop.time(), 0
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._limiter.end(self, "large_head")

    def pause_writing(self) -> None:
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused_since = 0.0
        super().resume_writing()

    def eviction_priority(self, now: float) -> tuple[int, float] | None:
        """See `Evictable`."""
        if self._paused_since:
            return _SLOW, self._paused_since
        if self._body is not None and not self._body.is_eof():
            return (_SLOW if now - self._body_since >= SLOW_S else _YOUNG), self._body_since
        if self._at_work():
            return None
        since = self._head_since
        if not since:
            return self._idle(now)
        if now - since < FRESH_S:
            return None
        return (_SLOW if now - since >= SLOW_S else _YOUNG), since

    def _idle(self, now: float) -> tuple[int, float] | None:
        """Its last answer may be on its way out of this process still."""
        since = self.last_answer_at
        unsent = self._stream is None or self._stream.get_write_buffer_size() > 0
        return None if unsent and now - since < SLOW_S else (_IDLE, since)

    def overdue(self, now: float, limits: Limits) -> Ended | None:
        """See `Evictable`."""
        if self._paused_since and now - self._paused_since > limits.read_s:
            return "not_read"
        if self._is_closing(now):
            return "not_read" if now - self._closing_since > limits.read_s else None
        late = self._head_since and now - self._head_since > limits.head_s
        return "slow_head" if late and not self._at_work() else None

    def end(self, cause: Ended) -> None:
        """See `Evictable`."""
        stream = self._stream
        if stream is None:
            return
        if cause in _RAW_RESPONSES and not self._at_work() and not stream.is_closing():
            self._part(stream, _RAW_RESPONSES[cause])
        else:
            stream.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Count what is no HTTP; the log has one bounded line of it (`receiver.telemetry.logs`)."""
        if isinstance(exc, HttpProcessingError):
            self._limiter.malformed()
        return super().handle_error(request, status, exc, message)

    def client_of(self, headers: CIMultiDictProxy[str]) -> str | None:
        """The address of who sent a request with these headers."""
        if not self.proxied:
            return self.peer
        return client_address(
            self.peer,
            self._limiter.limits.trusted,
            headers.getall(hdrs.X_FORWARDED_FOR, ()),
            headers.getall(hdrs.FORWARDED, ()),
        )

    def _at_work(self) -> bool:
        """Whether aiohttp's loop over the requests does anything but wait for the next one; or has yet to notice it."""
        return not self.waits_for_request or self.has_queued

    def _is_closing(self, now: float) -> bool:
        """Whether it only waits for its last bytes to be taken."""
        if self._stream is None or not self._stream.is_closing():
            return False
        self._closing_since = self._closing_since or now
        return True

    def _part(self, stream: asyncio.Transport, farewell: bytes) -> None:
        stream.write(farewell)
        stream.close()
        self.loop.call_later(_LAST_WORDS_S, stream.abort)


def remote_of(request: web.BaseRequest) -> str | None:
    """The address of the client, whoever stands between."""
    return cast("Connection", request.protocol).client_of(request.headers)
