"""A connection: aiohttp's, with the deadlines that it lacks, and the client's address.

aiohttp bounds an idle connection and leaves the rest to a proxy in front: a head may drip in for the whole keep-alive
time, and an unread answer may block for ever. The progress of a head or a body is followed here by the state of
aiohttp's parser after each `data_received`.
"""

import asyncio
from operator import attrgetter
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from receiver.addresses import socket_address
from receiver.server.forwarded import client_address
from receiver.server.limiter import FRESH_S, SLOW_S, ConnectionLimiter, Limits
from receiver.telemetry.metrics import Ended

MAX_HEAD: Final = 64 * 1024
"""Most bytes of a head that arrives in several pieces. A platform's is below 2 KiB."""

MAX_HEADERS: Final = 100
"""aiohttp itself bounds each header's name and value, and the request line, at 8190 bytes."""

_RAW_RESPONSE: Final = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SERVICE_UNAVAILABLE: Final = _RAW_RESPONSE % b"503 Service Unavailable\r\nRetry-After: 5"
_RAW_RESPONSES: Final[dict[Ended, bytes]] = {
    "slow_head": _RAW_RESPONSE % b"408 Request Timeout",
    "large_head": _RAW_RESPONSE % b"431 Request Header Fields Too Large",
}

SERVER: Final = "receiver"
"""In place of aiohttp's header, which shows its version and Python's; a streamed answer must set it itself."""

_LINGER_S: Final = 2.0
"""The rest of a refused body is read for this long, so that the client gets to read the answer."""

_FLUSH_S: Final = 1.0
"""The client has this long to take a raw response before the connection is aborted."""

_SLOW, _IDLE, _YOUNG = 0, 1, 2
"""Eviction ranks, the least first: slow (head, body, or an unread answer), idle, and just begun."""


class RequestProtocol(web.RequestHandler):
    """aiohttp's side of a connection. Every private name of aiohttp that we use is in here, under a public name.

    They are attributes of `RequestHandler` in aiohttp 3.14; pyproject.toml has the ceiling, and
    tests/unit/test_aiohttp_private.py names those that changed.
    """

    __slots__ = ()

    heads_parsed = property(attrgetter("_request_count"))
    """Number of request heads that were parsed to their end since the connection was made."""

    queued = property(attrgetter("_messages"))
    """The requests with a parsed head that aiohttp has not begun to handle: pairs of the head and its body."""

    loop = property(attrgetter("_loop"))
    """The event loop of the connection."""

    @property
    def waits_for_request(self) -> bool:
        """Whether aiohttp's loop over the requests is idle, waiting for the next one."""
        return self._waiter is not None

    @property
    def last_answer_at(self) -> float:
        """Loop time at which the last answer was written; aiohttp counts the keep-alive time from it."""
        return self._next_keepalive_close_time - self._keepalive_timeout

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - as in aiohttp
        """Only if reading is paused: aiohttp asks after each read, and parses and polls again for nothing."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def stop_parsing(self) -> None:
        """Discard all data that is received from now on."""
        self._force_close = True


class Connection(RequestProtocol):
    """`peer` is the address at the other end of the socket; `proxied`: it is a trusted proxy."""

    __slots__ = (
        "_body",
        "_body_since",
        "_closing_since",
        "_head_bytes",
        "_head_since",
        "_heads_seen",
        "_limiter",
        "_paused_since",
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
        self._heads_seen = 0
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
            self.stop_parsing()
            self._close_with(self._stream, _SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limiter.remove(self)
        self._stream = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.heads_parsed == self._heads_seen:
            self._partial_data_received(data)
        else:
            self._heads_completed()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Set `Server` on every answer, aiohttp's own to malformed input included; while draining, announce the close.

        A request that is sent into a closing connection is lost unless it is sent again. aiohttp parses data behind a
        declined upgrade in here and not in `data_received`: so count heads here too.
        """
        resp.headers[hdrs.SERVER] = SERVER
        if self.queued:
            # Thousands of pipelined requests must not be one turn of the loop (they are, from Python 3.12 on).
            await asyncio.sleep(0)
        if self._limiter.draining:
            resp.headers[hdrs.CONNECTION] = "close"
            resp.force_close()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self.heads_parsed != self._heads_seen:
                self._heads_completed()

    def _heads_completed(self) -> None:
        self._heads_seen = self.heads_parsed
        self._head_since, self._body = 0.0, None
        if self.queued and not (body := self.queued[-1][1]).is_eof():
            self._body, self._body_since = body, self.loop.time()

    def _partial_data_received(self, data: bytes) -> None:
        """Data that completed no head: it belongs to a body, or to a head that is still incomplete."""
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

    def is_busy(self) -> bool:
        """Whether aiohttp handles a request, or is about to: one is queued."""
        return not self.waits_for_request or bool(self.queued)

    def eviction_priority(self, now: float) -> tuple[int, float] | None:
        """See `Evictable`."""
        if self._paused_since:
            return _SLOW, self._paused_since
        if self._body is not None and not self._body.is_eof():
            return (_SLOW if now - self._body_since >= SLOW_S else _YOUNG), self._body_since
        if self.is_busy():
            return None
        since = self._head_since
        if not since:
            return self._idle(now)
        if now - since < FRESH_S:
            return None
        return (_SLOW if now - since >= SLOW_S else _YOUNG), since

    def _idle(self, now: float) -> tuple[int, float] | None:
        """Not evicted while its last answer is still being sent, for up to SLOW_S."""
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
        return "slow_head" if late and not self.is_busy() else None

    def end(self, cause: Ended) -> None:
        """See `Evictable`."""
        stream = self._stream
        if stream is None:
            return
        if cause in _RAW_RESPONSES and not self.is_busy() and not stream.is_closing():
            self._close_with(stream, _RAW_RESPONSES[cause])
        else:
            stream.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Count malformed input; its log lines are rate-limited in `receiver.telemetry.logs`."""
        if isinstance(exc, HttpProcessingError):
            self._limiter.malformed()
        return super().handle_error(request, status, exc, message)

    def client_of(self, headers: CIMultiDictProxy[str]) -> str | None:
        """The client's address of a request with these headers; None if the socket has none."""
        if not self.proxied:
            return self.peer
        return client_address(
            self.peer,
            self._limiter.limits.trusted,
            headers.getall(hdrs.X_FORWARDED_FOR, ()),
            headers.getall(hdrs.FORWARDED, ()),
        )

    def _is_closing(self, now: float) -> bool:
        """Whether it is closing and only has unsent data left."""
        if self._stream is None or not self._stream.is_closing():
            return False
        self._closing_since = self._closing_since or now
        return True

    def _close_with(self, stream: asyncio.Transport, response: bytes) -> None:
        stream.write(response)
        stream.close()
        self.loop.call_later(_FLUSH_S, stream.abort)


def remote_of(request: web.BaseRequest) -> str | None:
    """The client's address, with trusted proxies taken into account."""
    return cast("Connection", request.protocol).client_of(request.headers)


def is_https(request: web.BaseRequest) -> bool:
    """Whether the client speaks HTTPS, to us or to the trusted proxy that called us (`X-Forwarded-Proto`)."""
    if not cast("Connection", request.protocol).proxied:
        return request.secure
    said = ",".join(request.headers.getall(hdrs.X_FORWARDED_PROTO, ()))
    return said.rpartition(",")[2].strip(" \t").lower() == "https"
