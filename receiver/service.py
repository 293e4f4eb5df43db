"""The lifecycle of a service: the order of its start, and a stop without losing a report.

Shared by `receiver serve`, which listens for callbacks, and `receiver pull`, which does not.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from receiver import embedded
from receiver.ingest.accept import Ingest
from receiver.ingest.drain import Drain
from receiver.ingest.observe import observe
from receiver.ingest.quarantine import Quarantine
from receiver.notify import notify
from receiver.providers import PROVIDERS
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.server.listener import Listener
from receiver.server.tls import Tls
from receiver.settings import Settings
from receiver.signals import Shutdown
from receiver.store import schema as migrate
from receiver.store.durable import DurableStore
from receiver.store.maintenance import overdue, rejected_quota
from receiver.store.maintenance.partitions import Maintenance, set_days_left_from
from receiver.store.maintenance.periodic import Periodic, connected, repeat_all
from receiver.store.maintenance.rejected_quota import RejectedQuota
from receiver.store.readiness import is_ready, until_ready
from receiver.store.spool import Spool
from receiver.store.writer import Writer
from receiver.telemetry import metrics as metric_set
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics, set_from
from receiver.web import exposure, listeners, ops_token
from receiver.web.ops import Ops

DISTRIBUTION: Final = "delivery-report-receiver"

_GC_THRESHOLD: Final = 50_000
"""Threshold of the garbage collector's youngest generation, in net allocations of container objects."""

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """PostgreSQL and the spool, with the tasks between them running."""

    store: DurableStore
    ingest: Ingest
    metrics: Metrics
    maintenance: Maintenance
    spool: Spool


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


async def serve(settings: Settings, platforms: Sequence[Opened] = (), *, listen: bool = True) -> int:
    """Run until a signal (`receiver.signals`), finish requests under way, and stop. Returns the exit code.

    Raises OperatorError for a setting, port, file or database that prevents the start.
    """
    shutdown = Shutdown()
    try:
        async with running(settings, shutdown.asked, platforms, listen=listen) as runtime:
            shutdown.started(runtime.reload)
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
        if tls is not None:
            tls.publish(metrics)
            await stack.enter_async_context(background(stop, tls.watch()))
        # The ops listener is stopped last, so that it reports on the shutdown.
        state = Ops(store=storage.store, metrics=metrics, maintenance=storage.maintenance, spool=storage.spool)
        ingest = storage.ingest if listen else None
        ops = await stack.enter_async_context(listeners.listening_for_ops(settings, ops_sockets, state, ingest))
        callbacks = None
        if sockets is not None:
            listening = listeners.listening(settings, sockets, storage.ingest, metrics, tls)
            callbacks = await stack.enter_async_context(listening)
        state.phase = "serving"
        _log_start(settings, ops, callbacks, platforms)
        _tune_garbage_collection()
        yield Runtime(storage=storage, ops=ops, callbacks=callbacks, tls=tls)
        state.phase = "stopping"
        log.info("service.stopping")
        if callbacks is not None:
            await callbacks.drain(settings.drain_delay_s)
    log.info("service.stopped")


def _log_start(settings: Settings, ops: Listener, callbacks: Listener | None, platforms: Sequence[Opened]) -> None:
    log.info("ops.listening", url=ops.url, bound=ops.bound)
    ops_token.warn_if_open(settings)
    if callbacks is not None:
        exposure.warn_if_open(settings)
        for path in listeners.paths(settings):
            log.info("callback.listening", url=callbacks.url + path, bound=callbacks.bound)
    for source in (source for platform in platforms for source in platform.sources):
        log.info("pull.started", source=source.path)


def _tune_garbage_collection() -> None:
    """Exclude the objects that live as long as the process from garbage collection, and collect less often.

    Modules, phone number metadata and the catalogue are some hundred thousand objects; reports are freed by their
    reference counts. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 100)


@asynccontextmanager
async def storing(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Storage]:
    """PostgreSQL, the spool, and the tasks between them, while the block runs. A task that dies sets `stop`."""
    async with AsyncExitStack() as stack:
        url = await _database(settings, stack)
        # Without a database reports are spooled; to refuse the start would lose them.
        ready = await is_ready(url, settings.database_setting)
        metrics = metric_set.build(version(DISTRIBUTION))
        spool = Spool(settings.data_dir / "spool", settings.spool_max_bytes)
        stack.push_async_callback(spool.close)
        writer = Writer(
            url,
            metrics,
            timeout_s=settings.database_timeout_s,
            max_queue=settings.queue_max_reports,
            max_flush=settings.flush_max_reports,
        )
        quota = RejectedQuota(metrics, settings.rejected_max_bytes)
        store = DurableStore(writer, spool, metrics, deadline_s=settings.answer_deadline_s, rejected=quota)
        quarantine = Quarantine(url, store, spool, metrics, timeout_s=settings.database_timeout_s)
        stack.push_async_callback(quarantine.close)
        drain = Drain(store, writer, spool, metrics, quarantine)
        maintenance = Maintenance(days_ahead=settings.partition_days_ahead, retention_days=settings.retention_days)
        metrics.spool_max_bytes.set(settings.spool_max_bytes)
        _set_gauges(metrics, spool, maintenance)
        rounds = (
            maintenance.periodic,
            overdue.periodic(windows_h(settings)),
            rejected_quota.periodic(quota, rejected_days(settings)),
        )
        maintaining = _maintain(url, settings.database_setting, rounds, ready=ready)
        await stack.enter_async_context(background(stop, writer.run(), drain.run(), maintaining))
        ingest = Ingest(store.keep, partial(observe, metrics=metrics))
        yield Storage(store=store, ingest=ingest, metrics=metrics, maintenance=maintenance, spool=spool)


@asynccontextmanager
async def background(stop: asyncio.Event, *coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Tasks that run beside the block; the last one given is cancelled first. Raises the error of a task that died.

    If it is cancelled while it waits for the tasks' end, it cancels them all and stops waiting.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        try:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait([task])
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the database; an embedded one is started and migrated."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = await stack.enter_async_context(embedded.running(settings.data_dir))
    await migrate.upgrade(server.url)
    return server.url


async def _maintain(url: str, setting: str, rounds: Sequence[Periodic], *, ready: bool) -> None:
    if not ready:
        await until_ready(url, setting)
    await repeat_all(rounds, partial(connected, url))


def rejected_days(settings: Settings) -> int:
    """Days that rejected payloads are kept: no longer than reports, as they may contain some."""
    return min(settings.rejected_days, settings.retention_days or settings.rejected_days)


def windows_h(settings: Settings) -> dict[str, int]:
    """Hours within which each platform reports, by platform: the settings override the documented ones."""
    known: dict[str, int] = {provider.name: provider.reporting_window_h for provider in PROVIDERS}
    return known | settings.reporting_windows_h


def _set_gauges(metrics: Metrics, spool: Spool, maintenance: Maintenance) -> None:
    set_from(metrics.spool_payloads, lambda: spool.depth.callbacks)
    set_from(metrics.spool_bytes, lambda: spool.depth.file_bytes)
    set_from(metrics.spool_oldest_age_seconds, lambda: spool.depth.age_s)
    set_days_left_from(metrics, lambda: maintenance.days_left)
