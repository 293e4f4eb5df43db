"""The two listeners of a service, for the callback URLs and for ops, put together from the settings."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web

from receiver.ingest.accept import Ingest
from receiver.report import ProviderName
from receiver.server.bind import BindAddress, BoundSockets, bound
from receiver.server.listener import Listener, ops_limiter, public_limiter
from receiver.server.tls import Tls
from receiver.settings import Settings
from receiver.telemetry.metrics import Metrics, set_from
from receiver.web import callbacks, live_events, ops, ops_token, submissions
from receiver.web.allow_list import allow_lists
from receiver.web.body import AdmissionControl, BodyLimits
from receiver.web.live import Live
from receiver.web.signatures import Signatures


def bound_for_ops(settings: Settings) -> AbstractAsyncContextManager[BoundSockets]:
    """The sockets of the ops listener. Raises ListenError."""
    return bound(BindAddress(settings.ops_host, settings.ops_port, "ops_host"), reuse_port=False)


def bound_for_callbacks(settings: Settings) -> AbstractAsyncContextManager[BoundSockets]:
    """The sockets of the callback listener. Raises ListenError."""
    return bound(BindAddress(settings.host, settings.port), reuse_port=settings.reuse_port)


@asynccontextmanager
async def listening_for_ops(
    settings: Settings,
    sockets: BoundSockets,
    state: ops.Ops,
    metrics: Metrics,
    ingest: Ingest | None,
    add_pages: Callable[[web.Application], None],
) -> AsyncIterator[Listener]:
    """The ops listener while the block runs; with an `ingest` it takes submissions."""
    app = web.Application()
    ops_token.protect(app, settings)
    ops.add_routes(app, state)
    live_events.add_routes(app, Live(state.view))
    add_pages(app)
    if ingest is not None:
        given = submissions.Submissions(ingest=ingest, metrics=metrics, limits=_body_limits(settings))
        submissions.add_routes(app, given)
    listener = Listener(app, settings, ops_limiter(settings, metrics), sockets)
    async with listener.open():
        yield listener


@asynccontextmanager
async def listening(
    settings: Settings, sockets: BoundSockets, ingest: Ingest, metrics: Metrics, tls: Tls | None
) -> AsyncIterator[Listener]:
    """The listener of the callback URLs while the block runs."""
    handle = callbacks.handler(
        callbacks.Callbacks(
            ingest=ingest,
            metrics=metrics,
            tokens=[token.get_secret_value().encode() for token in settings.callback_tokens],
            signatures=Signatures(push_keys(settings), settings.keep_unsigned, settings.public_url),
            limits=_body_limits(settings),
            allowed=allow_lists(settings),
            admission=_admission(settings, metrics),
            has_trusted_client_certificate=tls.has_trusted_client_certificate if tls else None,
        ),
    )
    listener = Listener(handle, settings, public_limiter(settings, metrics), sockets, tls.listening() if tls else {})
    async with listener.open():
        yield listener


def paths(settings: Settings) -> list[str]:
    """The paths of the callback URLs, with `<token>` as a placeholder if there are tokens."""
    return callbacks.paths(with_token=bool(settings.callback_tokens))


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, settings.body_timeout_s)


def _admission(settings: Settings, metrics: Metrics) -> AdmissionControl:
    admission = AdmissionControl(settings.max_requests, settings.large_bodies_max_bytes)
    set_from(metrics.requests_in_flight, lambda: admission.taken)
    return admission


def push_keys(settings: Settings) -> dict[ProviderName, dict[str, str]]:
    """The key pairs of each platform that signs its pushes."""
    named = {key.get_secret_value().partition(":")[0] for key in settings.push_keys}
    return {ProviderName(name): settings.secrets_by_access(name) for name in named}
