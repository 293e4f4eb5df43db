"""Reading a request's body: bounded in size and in time."""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from receiver.providers.contract import Verdict
from receiver.web.answers import Refused

_MAX_CONTENT_TYPE: Final = 200


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take to come."""

    max_bytes: int
    timeout_s: float


async def read_body(request: web.Request, limits: BodyLimits) -> bytes:
    """The whole body. It has a deadline, because aiohttp would wait for a dripping one for ever. Raises Refused.

    Most bodies come with their head: then there is nothing to wait for, and a timer would cost more than the reading.
    """
    if (request.content_length or 0) > limits.max_bytes:
        raise _too_large(limits)
    try:
        if request.content.is_eof():
            body = request.content.read_nowait()
            if len(body) > limits.max_bytes:
                raise _too_large(limits)
            return body
        async with asyncio.timeout(limits.timeout_s):
            return await request.read()
    except TimeoutError:
        raise Refused(Verdict.TOO_SLOW, "the body did not come in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(limits) from None
    except (ConnectionError, web.RequestPayloadError):
        raise Refused(Verdict.NOT_UNDERSTOOD, "the body did not come to its end") from None


def _too_large(limits: BodyLimits) -> Refused:
    return Refused(Verdict.TOO_LARGE, f"the body is larger than {limits.max_bytes} bytes")


def content_type(request: web.Request) -> str | None:
    """The header as it came, as far as text goes."""
    header = request.headers.get(hdrs.CONTENT_TYPE)
    return header and header.encode(errors="replace").decode()[:_MAX_CONTENT_TYPE]
