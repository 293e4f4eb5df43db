"""The callback URLs: read the body under a deadline, understand it, keep it, and only then answer."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from receiver.callback import Callback
from receiver.logs import get_logger
from receiver.metrics import Metrics
from receiver.providers import ENDPOINTS
from receiver.providers.contract import Endpoint, Verdict
from receiver.store.intake import understand
from receiver.store.job import Job
from receiver.store.keeper import CannotKeep, Keeper
from receiver.store.record import record
from receiver.web.answers import answer

PREFIX: Final = "/callback/"
_MAX_CONTENT_TYPE: Final = 200

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What the handlers of the callback URLs work with."""

    keeper: Keeper
    metrics: Metrics
    tokens: Sequence[bytes]
    max_body_bytes: int
    body_timeout_s: float


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is answered so, whatever is in it."""

    def __init__(self, verdict: Verdict, description: str) -> None:
        super().__init__(description)
        self.verdict = verdict
        self.description = description


def add_routes(app: web.Application, callbacks: Callbacks) -> None:
    """One URL an endpoint: with callback tokens configured, a token is its last segment."""
    for endpoint in ENDPOINTS.values():
        path = PREFIX + endpoint.path
        handler = _handler(endpoint, callbacks)
        app.router.add_route("*", path, handler)
        app.router.add_route("*", path + "/{token}", handler)
    app.router.add_route("*", "/{elsewhere:.*}", _nowhere)


def paths(*, with_token: bool) -> list[str]:
    """The callback URLs' paths, as they are to be registered."""
    return [f"{PREFIX}{path}{'/<token>' if with_token else ''}" for path in ENDPOINTS]


async def _nowhere(_request: web.Request) -> web.Response:
    return web.json_response({"error": "no such callback URL"}, status=404)


def _handler(endpoint: Endpoint, callbacks: Callbacks) -> Handler:
    _, _, name = endpoint.path.partition("/")

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            response = await _handle(request, endpoint, callbacks)
        except _Refused as refused:
            response = answer(endpoint, refused.verdict, refused.description)
        callbacks.metrics.request_done(endpoint.provider, name, response.status, time.perf_counter() - started)
        return response

    return handle


async def _handle(request: web.Request, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    _check_token(request, callbacks.tokens)
    if request.method == hdrs.METH_HEAD:
        return web.Response()
    if request.method != hdrs.METH_POST:
        raise _Refused(Verdict.METHOD_NOT_ALLOWED, "use POST")
    received_at = datetime.now(UTC)
    callback = Callback(
        path=endpoint.path,
        body=await _read(request, callbacks),
        content_type=_content_type(request),
        received_at=received_at,
        remote_addr=request.remote,
        request_id=secrets.token_hex(8),
    )
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if encoding not in ("", "identity"):
        return await _refuse_compressed(callback, endpoint, callbacks)
    return await _keep(callback, endpoint, callbacks)


def _check_token(request: web.Request, tokens: Sequence[bytes]) -> None:
    """Raise unless the last path segment is a valid token, or there is none where none is asked for."""
    given = request.match_info.get("token")
    if given is None:
        valid = not tokens
    else:
        # Every token is compared, so that the time taken tells nothing.
        valid = sum(hmac.compare_digest(given.encode(errors="replace"), token) for token in tokens) > 0
    if not valid:
        raise _Refused(Verdict.NOT_FOUND, "no such callback URL")


async def _read(request: web.Request, callbacks: Callbacks) -> bytes:
    """The whole body. It has a deadline, because aiohttp would wait for a dripping one for ever."""
    if (request.content_length or 0) > callbacks.max_body_bytes:
        raise _Refused(Verdict.TOO_LARGE, f"the body is larger than {callbacks.max_body_bytes} bytes")
    try:
        async with asyncio.timeout(callbacks.body_timeout_s):
            return await request.read()
    except TimeoutError:
        raise _Refused(Verdict.TOO_SLOW, "the body did not come in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise _Refused(Verdict.TOO_LARGE, f"the body is larger than {callbacks.max_body_bytes} bytes") from None
    except (ConnectionError, web.RequestPayloadError):
        raise _Refused(Verdict.NOT_UNDERSTOOD, "the body did not come to its end") from None


def _content_type(request: web.Request) -> str | None:
    """The header as it came, as far as text goes."""
    header = request.headers.get(hdrs.CONTENT_TYPE)
    return header and header.encode(errors="replace").decode()[:_MAX_CONTENT_TYPE]


async def _refuse_compressed(callback: Callback, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    """Nobody documents compressed callbacks, and unpacking them is a way to attack us. The bytes are kept."""
    job = Job(callback=callback, provider=endpoint.provider, error="the body is compressed")
    try:
        record(job, await callbacks.keeper.keep(job), callbacks.metrics)
    except CannotKeep as error:
        raise _Refused(Verdict.BUSY, "try again later") from error
    return answer(endpoint, Verdict.COMPRESSED, "send the body uncompressed")


async def _keep(callback: Callback, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    parsed, job = understand(callback)
    if parsed.sibling:
        log.warning(
            "payload.wrong_url",
            provider=endpoint.provider,
            path=PREFIX + callback.path,
            right_path=PREFIX + parsed.sibling,
            request_id=callback.request_id,
        )
    try:
        kept = await callbacks.keeper.keep(job)
    except CannotKeep as error:
        log.error(  # noqa: TRY400 - a state of the disks, not a fault in the code
            "report.not_kept", provider=endpoint.provider, error=str(error), request_id=callback.request_id
        )
        return answer(endpoint, Verdict.BUSY, "try again later", parsed.echo)
    record(job, kept, callbacks.metrics)
    if parsed.understood and len(kept.receipt.refused) < len(job.reports) + len(job.replies):
        return answer(endpoint, Verdict.GOOD, echo=parsed.echo)
    why = job.error or "; ".join(sorted(set(kept.receipt.refused.values())))
    return answer(endpoint, Verdict.NOT_UNDERSTOOD, why, parsed.echo)
