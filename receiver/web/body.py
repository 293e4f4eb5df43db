"""Reads request bodies, with bounds on size, time, concurrent requests and their memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

from aiohttp import StreamReader, hdrs, web

from receiver.providers.base import Verdict
from receiver.web.answers import HttpRefusal

SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this size do not count as memory; only the largest batches of a platform exceed it."""

_MAX_CONTENT_TYPE: Final = 200
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Largest size of a body, and time within which it must have been received."""

    max_bytes: int
    timeout_s: float


@dataclass(slots=True)
class AdmissionControl:
    """Admits `most` requests at a time, and `most_bytes` of bodies beyond the first `SMALL_BYTES` of each."""

    most: int
    most_bytes: int
    taken: int = 0
    taken_bytes: int = 0

    def acquire(self) -> None:
        """Take the slot of a request whose body has been read; to be released. Raises HttpRefusal."""
        if self.taken >= self.most:
            raise HttpRefusal(Verdict.BUSY, "too many requests at a time; try again later")
        self.taken += 1

    def release(self) -> None:
        """Free one slot."""
        self.taken -= 1


class RequestSlot:
    """One request's share of the admission, released at the end of the block."""

    __slots__ = ("_acquired", "_admission", "_bytes")

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission
        self._bytes = 0
        self._acquired = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.taken_bytes -= self._bytes
        self._admission.taken -= self._acquired

    def reserve_body(self, size: int) -> None:
        """Reserve memory for a body of `size` bytes, as received so far. Raises HttpRefusal."""
        more = size - SMALL_BYTES - self._bytes
        if more > 0:
            if self._admission.taken_bytes + more > self._admission.most_bytes:
                raise HttpRefusal(Verdict.BUSY, "too many large requests at a time; try again later")
            self._bytes += more
            self._admission.taken_bytes += more

    def acquire(self) -> None:
        """Take the slot, once the body has been read. Raises HttpRefusal."""
        self._admission.acquire()
        self._acquired = True


def whole_body(request: web.BaseRequest, limits: BodyLimits) -> bytes | None:
    """The body if it has arrived with its head, is small and has no coding, as nearly every one; else None."""
    content, headers = request.content, request.headers
    if not content.is_eof() or content.total_bytes > SMALL_BYTES or content.total_bytes > limits.max_bytes:
        return None
    if hdrs.CONTENT_ENCODING in headers or hdrs.TRANSFER_ENCODING in headers or content.exception() is not None:
        return None
    return content.read_nowait()


async def read_body(
    request: web.BaseRequest, limits: BodyLimits, reserve: Callable[[int], None] | None = None
) -> bytes:
    """The whole body, within a deadline, as aiohttp would wait for a dripping one for ever. Raises HttpRefusal.

    Most bodies arrive with their head: then nothing is awaited, and a timer would cost more than the read.
    `reserve` is called with the length of a body above SMALL_BYTES, and may raise HttpRefusal.
    """
    if (request.content_length or 0) > limits.max_bytes:
        raise _too_large(limits)
    try:
        if request.content.is_eof():
            body = request.content.read_nowait()
            _check(len(body), limits, reserve)
            return body
        async with asyncio.timeout(limits.timeout_s):
            return await _read_slowly(request.content, limits, reserve)
    except TimeoutError:
        raise HttpRefusal(Verdict.TOO_SLOW, "the body did not come in time") from None
    except (ConnectionError, web.RequestPayloadError):
        raise HttpRefusal(Verdict.NOT_UNDERSTOOD, "the body did not come to its end") from None


async def _read_slowly(content: StreamReader, limits: BodyLimits, reserve: Callable[[int], None] | None) -> bytes:
    body = bytearray()
    while piece := await content.readany():
        body += piece
        _check(len(body), limits, reserve)
    return bytes(body)


def _check(size: int, limits: BodyLimits, reserve: Callable[[int], None] | None) -> None:
    if size > limits.max_bytes:
        raise _too_large(limits)
    if size > SMALL_BYTES and reserve is not None:
        reserve(size)


def _too_large(limits: BodyLimits) -> HttpRefusal:
    return HttpRefusal(Verdict.TOO_LARGE, f"the body is larger than {limits.max_bytes} bytes")


def is_encoded(request: web.BaseRequest) -> bool:
    """Whether the body has a content coding, or a transfer coding besides chunked, which aiohttp has decoded.

    aiohttp ignores codings before chunked (`gzip, chunked`).
    """
    headers = request.headers
    if hdrs.CONTENT_ENCODING in headers and not _codings(request, hdrs.CONTENT_ENCODING) <= {"", "identity"}:
        return True
    return hdrs.TRANSFER_ENCODING in headers and headers[hdrs.TRANSFER_ENCODING].strip(" \t").lower() != "chunked"


def _codings(request: web.BaseRequest, header: str) -> set[str]:
    """The codings of all lines of a header, which are one list (RFC 9110, section 5.3)."""
    return {one.strip(" \t").lower() for line in request.headers.getall(header) for one in line.split(",")}


def query(request: web.BaseRequest) -> str:
    """The query string as on the wire; bytes outside printable ASCII are percent-encoded."""
    return quote(request.raw_path.partition("?")[2].encode(errors="surrogateescape"), safe=_PRINTABLE)


def content_type(request: web.BaseRequest) -> str | None:
    """The Content-Type header, truncated, with invalid bytes replaced."""
    header = request.headers.get(hdrs.CONTENT_TYPE)
    if header is None or (len(header) <= _MAX_CONTENT_TYPE and header.isascii()):
        return header
    return header.encode(errors="replace").decode()[:_MAX_CONTENT_TYPE]
