"""The callback URLs: read the body under a deadline, understand it, keep it, and only then answer."""

import hmac
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from receiver.addresses import Networks
from receiver.inbound import Inbound
from receiver.ingest.observe import observe
from receiver.ingest.understand import NOT_SIGNED, parse_inbound
from receiver.providers import ENDPOINTS, url_path
from receiver.providers.base import Endpoint, SignatureError, Verdict
from receiver.report import ProviderName
from receiver.server.protocol import remote_of
from receiver.store.durable import DurableStore, StoreUnavailable
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.metrics import Metrics
from receiver.web.admission import AdmissionControl, RequestSlot
from receiver.web.answers import HttpRefusal, answer
from receiver.web.body import BodyLimits, content_type, is_coded, query, read_body
from receiver.web.signatures import Signatures

_request_ids = random.Random()  # noqa: S311 - names for the log, which nobody gains by guessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What the handlers of the callback URLs work with."""

    keeper: DurableStore
    metrics: Metrics
    tokens: Sequence[bytes]
    signatures: Signatures
    limits: BodyLimits
    allowed: Mapping[ProviderName, Networks]
    admission: AdmissionControl
    has_trusted_client_certificate: Callable[[web.Request, ProviderName], bool] | None
    lines: LimitedLog = field(default_factory=LimitedLog)


def add_routes(app: web.Application, callbacks: Callbacks) -> None:
    """One URL an endpoint: with callback tokens configured, a token is its last segment."""
    for endpoint in ENDPOINTS.values():
        path = url_path(endpoint.path)
        handler = _handler(endpoint, callbacks)
        app.router.add_route("*", path, handler)
        app.router.add_route("*", path + "/{token}", handler)
    app.router.add_route("*", "/{elsewhere:.*}", _nowhere)


def paths(*, with_token: bool) -> list[str]:
    """The callback URLs' paths, as they are to be registered."""
    return [f"{url_path(path)}{'/<token>' if with_token else ''}" for path in ENDPOINTS]


async def _nowhere(_request: web.Request) -> web.Response:
    return web.json_response({"error": "no such callback URL"}, status=404)


def _handler(endpoint: Endpoint, callbacks: Callbacks) -> Handler:
    _, _, name = endpoint.path.partition("/")

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            response = await _handle(request, endpoint, callbacks)
        except HttpRefusal as refused:
            response = answer(endpoint, refused.verdict, refused.description)
        callbacks.metrics.request_done(endpoint.provider, name, response.status, time.perf_counter() - started)
        return response

    return handle


async def _handle(request: web.Request, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    _check_token(request, callbacks.tokens)
    remote = remote_of(request)
    if (allowed := callbacks.allowed.get(endpoint.provider)) is not None and not allowed.has(remote):
        raise _not_allowed(endpoint, callbacks, remote)
    certified = callbacks.has_trusted_client_certificate
    if certified and not certified(request, endpoint.provider):
        raise HttpRefusal(Verdict.NOT_ALLOWED, "no client certificate of this platform")
    if request.method == hdrs.METH_HEAD:
        return web.Response()
    if request.method != hdrs.METH_POST:
        raise HttpRefusal(Verdict.METHOD_NOT_ALLOWED, "use POST")
    received_at = datetime.now(UTC)
    try:
        check = callbacks.signatures.judge(request, endpoint.provider, received_at)
    except SignatureError as error:
        raise _not_signed(endpoint, callbacks, remote, error) from error
    with RequestSlot(callbacks.admission) as slot:
        callback = Inbound(
            path=endpoint.path,
            query=query(request) if endpoint.reads_query else "",
            body=await read_body(request, callbacks.limits, slot.reserve_body),
            content_type=content_type(request),
            received_at=received_at,
            remote_addr=remote,
            request_id=f"{_request_ids.getrandbits(64):016x}",
        )
        slot.work()
        try:
            check(callback.body)
        except SignatureError as error:
            refusal = _not_signed(endpoint, callbacks, remote, error)
            if callbacks.signatures.keep_unsigned:
                await _keep_rejected(callback, callbacks, f"{NOT_SIGNED}: {error}")
            raise refusal from error
        return await _take(request, callback, endpoint, callbacks)


async def _take(request: web.Request, callback: Inbound, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    if is_coded(request):
        await _keep_rejected(callback, callbacks, "the body is compressed")
        raise HttpRefusal(Verdict.COMPRESSED, "send the body uncompressed")
    return await _keep(callback, endpoint, callbacks)


def _not_allowed(endpoint: Endpoint, callbacks: Callbacks, remote: str | None) -> HttpRefusal:
    callbacks.metrics.address_refused(endpoint.provider)
    callbacks.lines.warning("address.refused", provider=endpoint.provider, path=url_path(endpoint.path), remote=remote)
    return HttpRefusal(Verdict.NOT_ALLOWED, "this address may not call")


def _check_token(request: web.Request, tokens: Sequence[bytes]) -> None:
    """Raise unless the last path segment is a valid token, or there is none where none is asked for."""
    given = request.match_info.get("token")
    if given is None:
        valid = not tokens
    else:
        # Every token is compared, so that the time taken tells nothing.
        valid = sum(hmac.compare_digest(given.encode(errors="replace"), token) for token in tokens) > 0
    if not valid:
        raise HttpRefusal(Verdict.NOT_FOUND, "no such callback URL")


def _not_signed(endpoint: Endpoint, callbacks: Callbacks, remote: str | None, error: SignatureError) -> HttpRefusal:
    callbacks.metrics.payload_rejected(endpoint.provider, "signature")
    callbacks.lines.warning(
        "payload.not_signed", provider=endpoint.provider, path=url_path(endpoint.path), error=str(error), remote=remote
    )
    # One text for every cause: which access keys exist is nobody's business.
    return HttpRefusal(Verdict.NOT_SIGNED, "the signature does not fit")


async def _keep_rejected(callback: Inbound, callbacks: Callbacks, why: str) -> None:
    """Keep the bytes of a body that is refused unread. Nobody documents compressed pushes: unpacking is a risk."""
    _, job = await parse_inbound(replace(callback, skip_parsing_reason=why))
    try:
        await observe(job, await callbacks.keeper.keep(job), callbacks.metrics)
    except StoreUnavailable as error:
        raise HttpRefusal(Verdict.BUSY, "try again later") from error


async def _keep(callback: Inbound, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    parsed, job = await parse_inbound(callback)
    if parsed.expected_path and job.ids:
        callbacks.lines.warning(
            "payload.wrong_url",
            provider=endpoint.provider,
            path=url_path(callback.path),
            right_path=url_path(parsed.expected_path),
            request_id=callback.request_id,
        )
    try:
        kept = await callbacks.keeper.keep(job)
    except StoreUnavailable as error:
        callbacks.lines.error(
            "report.not_kept",
            provider=endpoint.provider,
            path=url_path(callback.path),
            error=str(error),
            request_id=callback.request_id,
        )
        return answer(endpoint, Verdict.BUSY, "try again later", parsed.answer_context)
    await observe(job, kept, callbacks.metrics)
    if kept.is_good(job):
        return answer(endpoint, Verdict.GOOD, answer_context=parsed.answer_context)
    return answer(endpoint, Verdict.NOT_UNDERSTOOD, kept.why_not(job), parsed.answer_context)
