"""The callback URLs: read the body under a deadline, parse it, keep it, and only then answer."""

import hmac
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from receiver.addresses import Networks
from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.ingest.understand import NOT_SIGNED
from receiver.providers import ENDPOINTS, url_path
from receiver.providers.base import HTTP_STATUS, CheckBody, Endpoint, SignatureError, Verdict
from receiver.report import ProviderName
from receiver.server.protocol import remote_of
from receiver.store.durable import StoreUnavailable
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.metrics import Metrics
from receiver.web.answers import HEADERS, HttpRefusal
from receiver.web.body import AdmissionControl, BodyLimits, RequestSlot, content_type, is_encoded, query, read_body
from receiver.web.signatures import Signatures

_request_ids = random.Random()  # noqa: S311 - ids for the log, not secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Dependencies of the handlers of the callback URLs."""

    ingest: Ingest
    metrics: Metrics
    tokens: Sequence[bytes]
    signatures: Signatures
    limits: BodyLimits
    allowed: Mapping[ProviderName, Networks]
    admission: AdmissionControl
    has_trusted_client_certificate: Callable[[web.Request, ProviderName], bool] | None
    lines: LimitedLog = field(default_factory=LimitedLog)


def add_routes(app: web.Application, callbacks: Callbacks) -> None:
    """One URL per endpoint; if callback tokens are configured, a token is its last segment."""
    for endpoint in ENDPOINTS.values():
        path = url_path(endpoint.path)
        handler = _handler(endpoint, callbacks)
        app.router.add_route("*", path, handler)
        app.router.add_route("*", path + "/{token}", handler)
    app.router.add_route("*", "/{elsewhere:.*}", _not_found)


def paths(*, with_token: bool) -> list[str]:
    """The paths of the callback URLs, to be registered at the platforms."""
    return [f"{url_path(path)}{'/<token>' if with_token else ''}" for path in ENDPOINTS]


async def _not_found(_request: web.Request) -> web.Response:
    return web.json_response({"error": "no such callback URL"}, status=404)


def _handler(endpoint: Endpoint, callbacks: Callbacks) -> Handler:
    _, _, name = endpoint.path.partition("/")

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            response = await _handle(request, endpoint, callbacks)
        except HttpRefusal as refused:
            response = _answer(endpoint, refused.verdict, refused.description)
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
    check: CheckBody | None = None
    if endpoint.provider in callbacks.signatures.keys:
        try:
            check = callbacks.signatures.verify_head(request, endpoint.provider, received_at)
        except SignatureError as error:
            raise _not_signed(endpoint, callbacks, remote, error) from error
    with RequestSlot(callbacks.admission) as slot:
        inbound = Inbound(
            path=endpoint.path,
            query=query(request) if endpoint.reads_query else "",
            body=await read_body(request, callbacks.limits, slot.reserve_body),
            content_type=content_type(request),
            received_at=received_at,
            remote_addr=remote,
            request_id=f"{_request_ids.getrandbits(64):016x}",
        )
        encoded = is_encoded(request)
        slot.acquire()
        if check is not None:
            await _check_signature(inbound, check, endpoint, callbacks)
        if encoded:
            await _keep_rejected(inbound, callbacks, "the body is compressed")
            raise HttpRefusal(Verdict.COMPRESSED, "send the body uncompressed")
        return await _accept(inbound, endpoint, callbacks)


async def _check_signature(inbound: Inbound, check: CheckBody, endpoint: Endpoint, callbacks: Callbacks) -> None:
    try:
        check(inbound.body)
    except SignatureError as error:
        refusal = _not_signed(endpoint, callbacks, inbound.remote_addr, error)
        if callbacks.signatures.keep_unsigned:
            await _keep_rejected(inbound, callbacks, f"{NOT_SIGNED}: {error}")
        raise refusal from error


def _not_allowed(endpoint: Endpoint, callbacks: Callbacks, remote: str | None) -> HttpRefusal:
    callbacks.metrics.address_refused(endpoint.provider)
    callbacks.lines.warning("address.refused", provider=endpoint.provider, path=url_path(endpoint.path), remote=remote)
    return HttpRefusal(Verdict.NOT_ALLOWED, "this address may not call")


def _check_token(request: web.Request, tokens: Sequence[bytes]) -> None:
    """Raise HttpRefusal unless the last path segment is a valid token, or none is configured and it is absent."""
    given = request.match_info.get("token")
    if given is None:
        valid = not tokens
    else:
        # Every token is compared, for a constant time.
        valid = sum(hmac.compare_digest(given.encode(errors="replace"), token) for token in tokens) > 0
    if not valid:
        raise HttpRefusal(Verdict.NOT_FOUND, "no such callback URL")


def _not_signed(endpoint: Endpoint, callbacks: Callbacks, remote: str | None, error: SignatureError) -> HttpRefusal:
    callbacks.metrics.payload_rejected(endpoint.provider, "signature")
    callbacks.lines.warning(
        "payload.not_signed", provider=endpoint.provider, path=url_path(endpoint.path), error=str(error), remote=remote
    )
    # One text for every cause, or answers would tell which access keys exist.
    return HttpRefusal(Verdict.NOT_SIGNED, "the signature does not fit")


async def _keep_rejected(inbound: Inbound, callbacks: Callbacks, why: str) -> None:
    """Keep a refused body unparsed. No platform documents compressed pushes, and to decompress is a risk."""
    try:
        await callbacks.ingest.accept(inbound._replace(skip_parsing_reason=why))
    except StoreUnavailable as error:
        raise HttpRefusal(Verdict.BUSY, "try again later") from error


async def _accept(inbound: Inbound, endpoint: Endpoint, callbacks: Callbacks) -> web.Response:
    try:
        outcome = await callbacks.ingest.accept(inbound)
    except StoreUnavailable as error:
        callbacks.lines.error(
            "report.not_kept",
            provider=endpoint.provider,
            path=url_path(inbound.path),
            error=str(error),
            request_id=inbound.request_id,
        )
        return _answer(endpoint, Verdict.BUSY, "try again later", error.answer_context)
    if outcome.expected_path:
        _warn_of_wrong_url(inbound, outcome.expected_path, endpoint, callbacks)
    if outcome.good:
        return _answer(endpoint, Verdict.GOOD, answer_context=outcome.answer_context)
    why = outcome.error or outcome.refusal or ""
    return _answer(endpoint, Verdict.NOT_UNDERSTOOD, why, outcome.answer_context)


def _warn_of_wrong_url(inbound: Inbound, expected_path: str, endpoint: Endpoint, callbacks: Callbacks) -> None:
    callbacks.lines.warning(
        "payload.wrong_url",
        provider=endpoint.provider,
        path=url_path(inbound.path),
        right_path=url_path(expected_path),
        request_id=inbound.request_id,
    )


def _answer(
    endpoint: Endpoint, verdict: Verdict, description: str = "", answer_context: Mapping[str, object] | None = None
) -> web.Response:
    """The answer to a callback."""
    return web.Response(
        body=endpoint.answer(verdict, description, answer_context or {}),
        status=HTTP_STATUS[verdict],
        headers={hdrs.CONTENT_TYPE: endpoint.media_type, **HEADERS.get(verdict, {})},
    )
