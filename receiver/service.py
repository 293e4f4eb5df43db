"""The lifecycle of a service: the order of its start, and a stop without losing a report.

Shared by `receiver serve`, which listens for callbacks, and `receiver pull`, which does not.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from receiver.notify import notify
from receiver.pages.routes import add_pages
from receiver.pages.site import Site
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.reading import reader as reading
from receiver.server.bind import BoundSockets
from receiver.server.listener import Listener
from receiver.server.tls import Tls
from receiver.settings import Settings
from receiver.signals import Shutdown
from receiver.storage import Storage, background, storing
from receiver.telemetry import logs
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics
from receiver.web import exposure, listeners, ops_token
from receiver.web.ops import Ops
from receiver.welcome import welcome

_GC_THRESHOLD: Final = 50_000
"""Threshold of the garbage collector's youngest generation, in net allocations of container objects."""

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A running service with open listeners; `callbacks` is None for a service that only pulls."""

    storage: Storage
    ops: Listener
    callbacks: Listener | None
    tls: Tls | None

    @property
    def public(self) -> Listener:
        """The listener of the callback URLs."""
        if self.callbacks is None:
            raise RuntimeError("this service does not listen for callbacks")
        return self.callbacks

    @property
    def metrics(self) -> Metrics:
        """The metrics of this service."""
        return self.storage.metrics

    def reload(self) -> None:
        """Reload the TLS files."""
        if self.tls is not None:
            self.tls.reload()

    def replace(self) -> None:
        """A single process has no workers; what a replacement would read anew are the TLS files."""
        self.reload()


class Controlled(Protocol):
    """A service that takes signals while it runs."""

    def reload(self) -> None:
        """Read the TLS files again (SIGHUP)."""

    def replace(self) -> None:
        """Replace the workers one after the other (SIGUSR2)."""


async def serve(settings: Settings, platforms: Sequence[Opened] = (), *, listen: bool = True) -> int:
    """Run until a signal (`receiver.signals`), finish requests under way, and stop. Returns the exit code.

    Raises OperatorError for a setting, port, file or database that prevents the start.
    """
    return await live(partial(running, settings, platforms=platforms, listen=listen))


async def live(running: Callable[[asyncio.Event], AbstractAsyncContextManager[Controlled]]) -> int:
    """Run a service until a signal or the event that it is given, and stop it. Returns the exit code."""
    shutdown = Shutdown()
    try:
        async with running(shutdown.asked) as service:
            shutdown.started(service.reload, service.replace)
            notify("READY=1")
            await shutdown.asked.wait()
            notify("STOPPING=1")
    except asyncio.CancelledError:
        if not shutdown.was_cancelled:
            raise
        log.info("service.stopped")
    return shutdown.exit_code


@asynccontextmanager
async def running(
    settings: Settings, stop: asyncio.Event, platforms: Sequence[Opened] = (), *, listen: bool = True
) -> AsyncIterator[Runtime]:
    """The service while the block runs, pulling from the platforms. A background task that dies sets `stop`."""
    # Files and ports come first: an unusable one stops the start before anything else is started.
    tls = Tls(settings) if listen and settings.tls_certificate else None
    async with AsyncExitStack() as stack:
        ops_sockets = await stack.enter_async_context(listeners.bound_for_ops(settings))
        sockets = await stack.enter_async_context(listeners.bound_for_callbacks(settings)) if listen else None
        storage = await stack.enter_async_context(storing(settings, stop))
        metrics = storage.metrics
        loops = pulls(platforms, storage.ingest, storage.store, metrics, settings.data_dir)
        await stack.enter_async_context(background(stop, *loops))
        # The ops listener is stopped last, so that it reports on the shutdown.
        state = Ops(view=storage.view)
        ingest = storage.ingest if listen else None
        url = sockets.url(https=tls is not None) if sockets else None
        reader = await stack.enter_async_context(reading.opened(settings, storage.url, is_old=storage.watch.is_old))
        site = Site(
            settings=settings,
            ops=state,
            callbacks=url,
            reader=reader,
            database_url=storage.url,
            refused=storage.timelines.judge,
        )
        pages = partial(add_pages, site=site)
        opening = listeners.listening_for_ops(settings, ops_sockets, state, metrics, ingest, pages)
        ops = await stack.enter_async_context(opening)
        callbacks = None
        if sockets is not None:
            callbacks = await stack.enter_async_context(answering(settings, sockets, storage, tls, stop))
        state.phase = "serving"
        at = (callbacks.url, callbacks.bound) if callbacks else None
        log_start(settings, storage.server, ops, at, platforms)
        tune_garbage_collection()
        yield Runtime(storage=storage, ops=ops, callbacks=callbacks, tls=tls)
        state.phase = "stopping"
        log.info("service.stopping")
        if callbacks is not None:
            await asyncio.sleep(settings.shutdown_delay_s)  # `/readyz` says 503 from here on
            await callbacks.drain(settings.drain_delay_s)
    log.info("service.stopped")


@asynccontextmanager
async def answering(
    settings: Settings, sockets: BoundSockets, storage: Storage, tls: Tls | None, stop: asyncio.Event
) -> AsyncIterator[Listener]:
    """The callback listener while the block runs."""
    async with AsyncExitStack() as stack:
        if tls is not None:
            tls.publish(storage.metrics)
            await stack.enter_async_context(background(stop, tls.watch()))
        opening = listeners.listening(settings, sockets, storage.ingest, storage.metrics, tls)
        yield await stack.enter_async_context(opening)


def log_start(
    settings: Settings,
    server: str | None,
    ops: Listener,
    callbacks: tuple[str, str] | None,
    platforms: Sequence[Opened],
) -> None:
    """Log where the service listens, or tell the person at the terminal.

    `server` is PostgreSQL's version; `callbacks` has the URL of the callback listener and its bound addresses.
    """
    ops_token.warn_if_open(settings)
    if callbacks is not None:
        exposure.warn_if_open(settings)
    pulled = [source.path for platform in platforms for source in platform.sources]
    if logs.tells():
        logs.tell(welcome(settings, server=server, ops_url=ops.url, callbacks_at=callbacks, pulled=pulled))
        return
    log.info("ops.listening", url=ops.url, bound=ops.bound)
    if callbacks is not None:
        url, addresses = callbacks
        for path in listeners.paths(settings):
            log.info("callback.listening", url=url + path, bound=addresses)
    for source in pulled:
        log.info("pull.started", source=source)


def tune_garbage_collection() -> None:
    """Exclude the objects that live as long as the process from garbage collection, and collect less often.

    Modules, phone number metadata and the catalogue are some hundred thousand objects; reports are freed by their
    reference counts. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
