"""Submissions: the sending application posts the answer of the platform's send API, verbatim.

    POST /submissions/<platform>?correlation=<the application's own value>

On the ops listener, because the caller is the operator's own application and not the platform.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.providers import SUBMISSIONS, provider_of, url_path
from receiver.providers.base import HTTP_STATUS, Verdict
from receiver.server.protocol import remote_of
from receiver.store.durable import StoreUnavailable
from receiver.telemetry.metrics import Metrics
from receiver.web.answers import HEADERS, HttpRefusal
from receiver.web.body import BodyLimits, content_type, is_encoded, read_body

_MAX_CORRELATION: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Submissions:
    """Dependencies of the handlers of the submission URLs."""

    ingest: Ingest
    metrics: Metrics
    limits: BodyLimits


def add_routes(app: web.Application, submissions: Submissions) -> None:
    """One URL per platform."""
    for path in SUBMISSIONS:
        app.router.add_post(url_path(path), _handler(path, submissions))


def _handler(path: str, submissions: Submissions) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            response = web.json_response(await _handle(request, path, submissions))
        except HttpRefusal as refused:
            response = web.json_response(
                {"error": refused.description},
                status=HTTP_STATUS[refused.verdict],
                headers=HEADERS.get(refused.verdict),
            )
        took_s = time.perf_counter() - started
        submissions.metrics.request_done(provider_of(path), "submissions", response.status, took_s)
        return response

    return handle


async def _handle(request: web.Request, path: str, submissions: Submissions) -> dict[str, object]:
    """The answer's JSON: the numbers of new and of known messages, and an error for unparsable parts."""
    if is_encoded(request):
        raise HttpRefusal(Verdict.COMPRESSED, "send the body uncompressed")
    inbound = Inbound(
        path=path,
        body=await read_body(request, submissions.limits),
        content_type=content_type(request),
        received_at=datetime.now(UTC),
        remote_addr=remote_of(request),
        request_id=secrets.token_hex(8),
        correlation=_correlation(request),
    )
    try:
        outcome = await submissions.ingest.accept(inbound)
    except StoreUnavailable as error:
        raise HttpRefusal(Verdict.BUSY, "nothing can keep this now; try again later") from error
    if not outcome.good:
        raise HttpRefusal(Verdict.NOT_UNDERSTOOD, outcome.error or outcome.refusal or "")
    return {
        "kept_in": outcome.kept_in.value,
        "stored": outcome.stored,
        "known": outcome.duplicates,
        "error": outcome.error,
    }


def _correlation(request: web.Request) -> str | None:
    value = request.query.get("correlation")
    if value is None:
        return None
    if len(value) > _MAX_CORRELATION or "\0" in value or not value.isprintable():
        raise HttpRefusal(
            Verdict.NOT_UNDERSTOOD, f"correlation is no printable text of {_MAX_CORRELATION} characters at most"
        )
    return value
