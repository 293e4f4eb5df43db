"""The callback URLs: read the body under a deadline, parse it, keep it, and only then answer."""

import hmac
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import HttpVersion11, hdrs, web

from receiver.addresses import Networks
from receiver.inbound import Inbound
from receiver.ingest.accept import NOT_SIGNED, Ingest
from receiver.providers import ENDPOINTS, url_path
from receiver.providers.base import CheckBody, Endpoint, SignatureError, Verdict
from receiver.report import ProviderName
from receiver.server.listener import Handle
from receiver.server.protocol import remote_of
from receiver.store.durable import StoreUnavailable
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.metrics import Metrics
from receiver.web.answers import HttpRefusal, answer, good_answer
from receiver.web.body import (
    AdmissionControl,
    BodyLimits,
    RequestSlot,
    content_type,
    is_encoded,
    query,
    read_body,
    whole_body,
)
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
    has_trusted_client_certificate: Callable[[web.BaseRequest, ProviderName], bool] | None
    lines: LimitedLog = field(default_factory=LimitedLog)


def handler(callbacks: Callbacks) -> Handle:
    """The function that answers every request of the listener: one URL per endpoint, and no framework's router.

    If callback tokens are configured, a token is the last segment.
    """
    by_path = {url_path(path): endpoint for path, endpoint in ENDPOINTS.items()}
    tokens = [token.decode() for token in callbacks.tokens]
    # Found by a hash with a secret key: the time of a look-up does not tell how much of a token was right.
    exact = {
        f"{path}/{token}" if token else path: endpoint for path, endpoint in by_path.items() for token in tokens or [""]
    }
    names = {endpoint.path: endpoint.path.partition("/")[2] for endpoint in ENDPOINTS.values()}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        if request.headers.get(hdrs.EXPECT):
            await _expected(request)
        valid, endpoint = True, exact.get(request.raw_path)
        if endpoint is None:
            endpoint, token = _endpoint(request, by_path)
            if endpoint is None:
                return web.json_response({"error": "no such callback URL"}, status=404)
            valid = _is_valid(token, callbacks.tokens)
        try:
            response = await (_handle if valid else _no_such_url)(request, endpoint, callbacks)
        except HttpRefusal as refused:
            response = answer(endpoint, refused.verdict, refused.description)
        took_s = time.perf_counter() - started
        callbacks.metrics.request_done(endpoint.provider, names[endpoint.path], response.status, took_s)
        return response

    return handle


async def _no_such_url(_request: web.BaseRequest, endpoint: Endpoint, _callbacks: Callbacks) -> web.StreamResponse:
    return answer(endpoint, Verdict.NOT_FOUND, "no such callback URL")


async def _expected(request: web.BaseRequest) -> None:
    """Send the `100 Continue` that a client waits for before it sends a large body (RFC 9110, section 10.1.1)."""
    if request.version != HttpVersion11:
        return
    expected = request.headers[hdrs.EXPECT]
    if expected.lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {expected}")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await request.writer.drain()


def _endpoint(request: web.BaseRequest, by_path: Mapping[str, Endpoint]) -> tuple[Endpoint | None, str | None]:
    """The endpoint of a URL that is not spelled as it is registered, and the token in it."""
    path = request.rel_url.path_safe
    if (endpoint := by_path.get(path)) is not None:
        return endpoint, None
    path, _, token = path.rpartition("/")
    return (by_path.get(path), token) if token else (None, None)


def _is_valid(token: str | None, tokens: Sequence[bytes]) -> bool:
    """Whether the token is one of these, or is absent and there are none. Each is compared, for a constant time."""
    if token is None:
        return not tokens
    return sum(hmac.compare_digest(token.encode(errors="replace"), one) for one in tokens) > 0


def paths(*, with_token: bool) -> list[str]:
    """The paths of the callback URLs, to be registered at the platforms."""
    return [f"{url_path(path)}{'/<token>' if with_token else ''}" for path in ENDPOINTS]


async def _handle(request: web.BaseRequest, endpoint: Endpoint, callbacks: Callbacks) -> web.StreamResponse:
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
    body = None if endpoint.provider in callbacks.signatures.keys else whole_body(request, callbacks.limits)
    inbound = Inbound(
        path=endpoint.path,
        body=body or b"",
        content_type=content_type(request),
        received_at=datetime.now(UTC),
        remote_addr=remote,
        request_id=f"{_request_ids.getrandbits(64):016x}",
        query=query(request) if endpoint.reads_query else "",
    )
    if body is None:
        return await _read_and_accept(request, inbound, endpoint, callbacks)
    callbacks.admission.acquire()
    try:
        return await _accept(request, inbound, endpoint, callbacks)
    finally:
        callbacks.admission.release()


async def _read_and_accept(
    request: web.BaseRequest, inbound: Inbound, endpoint: Endpoint, callbacks: Callbacks
) -> web.StreamResponse:
    """As any callback may be: signed, large, in pieces, or with a coding."""
    check: CheckBody | None = None
    if endpoint.provider in callbacks.signatures.keys:
        try:
            check = callbacks.signatures.verify_head(request, endpoint.provider, inbound.received_at)
        except SignatureError as error:
            raise _not_signed(endpoint, callbacks, inbound.remote_addr, error) from error
    with RequestSlot(callbacks.admission) as slot:
        inbound = inbound._replace(body=await read_body(request, callbacks.limits, slot.reserve_body))
        encoded = is_encoded(request)
        slot.acquire()
        if check is not None:
            await _check_signature(inbound, check, endpoint, callbacks)
        if encoded:
            await _keep_rejected(inbound, callbacks, "the body is compressed")
            raise HttpRefusal(Verdict.COMPRESSED, "send the body uncompressed")
        return await _accept(request, inbound, endpoint, callbacks)


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


async def _accept(
    request: web.BaseRequest, inbound: Inbound, endpoint: Endpoint, callbacks: Callbacks
) -> web.StreamResponse:
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
        return answer(endpoint, Verdict.BUSY, "try again later", error.answer_context)
    if outcome.expected_path:
        _warn_of_wrong_url(inbound, outcome.expected_path, endpoint, callbacks)
    if outcome.good:
        return good_answer(request, endpoint, outcome.answer_context)
    why = outcome.error or outcome.refusal or ""
    return answer(endpoint, Verdict.NOT_UNDERSTOOD, why, outcome.answer_context)


def _warn_of_wrong_url(inbound: Inbound, expected_path: str, endpoint: Endpoint, callbacks: Callbacks) -> None:
    callbacks.lines.warning(
        "payload.wrong_url",
        provider=endpoint.provider,
        path=url_path(inbound.path),
        right_path=url_path(expected_path),
        request_id=inbound.request_id,
    )
