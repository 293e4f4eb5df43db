"""Answers to callbacks: the body is in the provider's own format (design, section 2)."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from receiver.providers.base import HTTP_STATUS, NOTHING, Endpoint, Verdict
from receiver.server.protocol import SERVER

RETRY_AFTER_S: Final = "5"
CRLF: Final = "\r\n"

HEADERS: Final[dict[Verdict, dict[str, str]]] = {
    Verdict.METHOD_NOT_ALLOWED: {hdrs.ALLOW: "POST, HEAD"},
    Verdict.BUSY: {hdrs.RETRY_AFTER: RETRY_AFTER_S},
    # The rest of these bodies is not read, so the connection cannot be used again.
    Verdict.TOO_SLOW: {hdrs.CONNECTION: "close"},
    Verdict.TOO_LARGE: {hdrs.CONNECTION: "close"},
}


class HttpRefusal(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, verdict: Verdict, description: str) -> None:
        super().__init__(description)
        self.verdict = verdict
        self.description = description


def answer(
    endpoint: Endpoint, verdict: Verdict, description: str = "", answer_context: Mapping[str, object] = NOTHING
) -> web.StreamResponse:
    """The answer to a callback."""
    return web.Response(
        body=endpoint.answer(verdict, description, answer_context),
        status=HTTP_STATUS[verdict],
        headers={hdrs.CONTENT_TYPE: endpoint.media_type, **HEADERS.get(verdict, {})},
    )


def good_answer(
    request: web.BaseRequest, endpoint: Endpoint, answer_context: Mapping[str, object]
) -> web.StreamResponse:
    """As `answer` with the verdict GOOD, for a quarter of the time where it may be HTTP/1.1."""
    if request.version != HttpVersion11:
        return answer(endpoint, Verdict.GOOD, "", answer_context)
    return _WholeAnswer(endpoint.media_type, endpoint.answer(Verdict.GOOD, "", answer_context))


class _WholeAnswer(web.StreamResponse):
    """A 200 that is written at once. Its head is made once a second, for the date in it."""

    def __init__(self, media_type: str, body: bytes) -> None:
        super().__init__()
        self._media_type = media_type
        self._whole_body = body
        self._stays_open: bool | None = None
        self._request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open after this answer; None before that is known."""
        return self._stays_open

    def force_close(self) -> None:
        """Close the connection after this answer, and announce it."""
        self._stays_open = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Nothing is written yet."""
        self._request = request
        if self._stays_open is None:
            self._stays_open = request.keep_alive
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Write head and body; the writer waits for a client that does not read."""
        if self._request is not None:
            await self._request.writer.write_eof(
                _whole(self._media_type, self._whole_body, bool(self._stays_open), int(time())) + data
            )


@lru_cache(maxsize=16)
def _whole(media_type: str, body: bytes, stays_open: bool, second: int) -> bytes:  # noqa: FBT001 - a key of the cache
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
        f"Date: {formatdate(second, usegmt=True)}\r\nServer: {SERVER}\r\n"
    )
    return f"{head}{'' if stays_open else 'Connection: close' + CRLF}{CRLF}".encode() + body
