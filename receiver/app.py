"""The service: what is started, in which order, and how it stops without losing a report."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from aiohttp import web

from receiver import storage
from receiver.logs import get_logger
from receiver.metrics import Metrics, follow
from receiver.notify import notify
from receiver.providers import VERIFIERS
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.report import ProviderName
from receiver.settings import Settings, SettingsError, variable
from receiver.store.keeper import Keeper
from receiver.web import callbacks, ops, ops_token, submissions
from receiver.web.allowed import allow_lists
from receiver.web.body import BodyLimits
from receiver.web.listener import Listener, ops_guard, public_guard
from receiver.web.room import Room
from receiver.web.signatures import Signatures
from receiver.web.tls import Tls

_COLLECT_AFTER: Final = 50_000
"""Container objects that may have come to more than have gone before the collector looks at the young ones."""

log = get_logger()


class Listeners(NamedTuple):
    """Both, listening."""

    public: Listener
    ops: Listener


async def serve(settings: Settings, platforms: Sequence[Opened] = ()) -> None:
    """Run until SIGTERM or SIGINT, then answer what is under way and stop. Raises what keeps it from running."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # with TLS it asks for a reload, without it must not end the service
    async with running(settings, stop, platforms):
        notify("READY=1")
        await stop.wait()
        notify("STOPPING=1")


@asynccontextmanager
async def running(
    settings: Settings, stop: asyncio.Event, platforms: Sequence[Opened] = ()
) -> AsyncIterator[Listeners]:
    """The service while the block runs, pulling from the platforms. A background task that dies sets `stop`."""
    # First of all, so that a file which cannot be used stops the start before anything is started.
    tls = Tls(settings) if settings.tls_certificate else None
    async with AsyncExitStack() as stack:
        ops_context = await stack.enter_async_context(storage.opened(settings, stop))
        keeper, metrics = ops_context.keeper, ops_context.metrics
        await stack.enter_async_context(storage.background(stop, *pulls(platforms, keeper, metrics, settings.data_dir)))
        if tls is not None:
            tls.publish(metrics)
            await stack.enter_async_context(storage.background(stop, tls.watch()))
        listeners = await _listen(settings, stack, keeper, ops_context, tls)
        _spare_the_collector()
        yield listeners
        ops_context.phase = "stopping"
        log.info("service.stopping")
        await listeners.public.drain(settings.drain_delay_s)
    log.info("service.stopped")


async def _listen(
    settings: Settings, stack: AsyncExitStack, keeper: Keeper, ops_context: ops.Ops, tls: Tls | None
) -> Listeners:
    """Start both listeners. The ops one is stopped last, so that it can tell what happens until then."""
    limits = BodyLimits(settings.max_body_bytes, settings.body_timeout_s)
    ops_app = web.Application(middlewares=ops_token.guards(settings))
    ops.add_routes(ops_app, ops_context)
    submissions.add_routes(ops_app, submissions.Submissions(keeper=keeper, metrics=ops_context.metrics, limits=limits))
    guard = ops_guard(settings, ops_context.metrics)
    ops_listener = Listener(ops_app, settings, guard, settings.ops_host, settings.ops_port)
    await stack.enter_async_context(ops_listener.open(reuse_port=False))
    app = web.Application()
    callbacks.add_routes(
        app,
        callbacks.Callbacks(
            keeper=keeper,
            metrics=ops_context.metrics,
            tokens=[token.get_secret_value().encode() for token in settings.callback_tokens],
            signatures=Signatures(push_keys(settings), settings.keep_unsigned),
            limits=limits,
            allowed=allow_lists(settings),
            room=_room(settings, ops_context.metrics),
            is_vouched_for=tls.is_vouched_for if tls else lambda _request, _platform: True,
        ),
    )
    guard = public_guard(settings, ops_context.metrics)
    listener = Listener(app, settings, guard, settings.host, settings.port, tls.listening() if tls else {})
    await stack.enter_async_context(listener.open(reuse_port=settings.reuse_port))
    ops_context.phase = "serving"
    log.info("ops.listening", url=ops_listener.url)
    ops_token.warn_if_open(settings)
    for path in callbacks.paths(with_token=bool(settings.callback_tokens)):
        log.info("callback.listening", url=listener.url + path)
    return Listeners(listener, ops_listener)


def _room(settings: Settings, metrics: Metrics) -> Room:
    room = Room(settings.max_requests, settings.large_bodies_max_bytes)
    follow(metrics.requests_in_flight, lambda: room.taken)
    return room


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking again and again through what stays for the life of the process.

    Modules, phone number metadata and the catalogue are some hundred thousand objects; reports are freed by their
    reference counts. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)


def push_keys(settings: Settings) -> dict[ProviderName, dict[str, str]]:
    """The key pairs of each platform that signs its pushes."""
    named = {key.get_secret_value().partition(":")[0] for key in settings.push_keys}
    if unable := named - VERIFIERS.keys():
        raise SettingsError(f"{variable('push_keys')}: {', '.join(sorted(unable))} signs nothing that we can check")
    return {ProviderName(name): settings.secrets_by_access(name) for name in named}
