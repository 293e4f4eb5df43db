"""The life of a service: what is started, in which order, and how it stops without losing a report.

Both are one: `receiver serve`, which listens for callbacks, and `receiver pull`, which does not.
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
from receiver.signals import Ending
from receiver.store import schema as migrate
from receiver.store.durable import DurableStore
from receiver.store.maintenance import overdue, rejected_quota
from receiver.store.maintenance.partitions import Maintenance, follow_days_left
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

_COLLECT_AFTER: Final = 50_000
"""Container objects that may have come to more than have gone before the collector looks at the young ones."""

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """PostgreSQL and the spool, with the tasks between them at work."""

    store: DurableStore
    ingest: Ingest
    metrics: Metrics
    maintenance: Maintenance
    spool: Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A service that runs. The listeners are open; `callbacks` is None where none are listened for."""

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
        """What it counts."""
        return self.storage.metrics

    def reload(self) -> None:
        """Read again the files that may be renewed."""
        if self.tls is not None:
            self.tls.reload()


async def serve(settings: Settings, platforms: Sequence[Opened] = (), *, listen: bool = True) -> int:
    """Run until a signal (`receiver.signals`), then finish what is under way, and stop; the exit code.

    Raises what keeps it from running.
    """
    ending = Ending()
    try:
        async with running(settings, ending.asked, platforms, listen=listen) as runtime:
            ending.started(runtime.reload)
            notify("READY=1")
            await ending.asked.wait()
            notify("STOPPING=1")
    except asyncio.CancelledError:
        if not ending.was_cancelled:
            raise
        log.info("service.stopped")
    return ending.exit_code


@asynccontextmanager
async def running(
    settings: Settings, stop: asyncio.Event, platforms: Sequence[Opened] = (), *, listen: bool = True
) -> AsyncIterator[Runtime]:
    """The service while the block runs, pulling from the platforms. A background task that dies sets `stop`."""
    # First of all, so that a file or a port which cannot be used stops the start before anything is started.
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
        # The ops listener is stopped last, so that it can tell what happens until then.
        state = Ops(store=storage.store, metrics=metrics, maintenance=storage.maintenance, spool=storage.spool)
        ingest = storage.ingest if listen else None
        ops = await stack.enter_async_context(listeners.listening_for_ops(settings, ops_sockets, state, ingest))
        callbacks = None
        if sockets is not None:
            listening = listeners.listening(settings, sockets, storage.ingest, metrics, tls)
            callbacks = await stack.enter_async_context(listening)
        state.phase = "serving"
        _tell(settings, ops, callbacks, platforms)
        _spare_the_collector()
        yield Runtime(storage=storage, ops=ops, callbacks=callbacks, tls=tls)
        state.phase = "stopping"
        log.info("service.stopping")
        if callbacks is not None:
            await callbacks.drain(settings.drain_delay_s)
    log.info("service.stopped")


def _tell(settings: Settings, ops: Listener, callbacks: Listener | None, platforms: Sequence[Opened]) -> None:
    log.info("ops.listening", url=ops.url, bound=ops.bound)
    ops_token.warn_if_open(settings)
    if callbacks is not None:
        exposure.warn_if_open(settings)
        for path in listeners.paths(settings):
            log.info("callback.listening", url=callbacks.url + path, bound=callbacks.bound)
    for source in (source for platform in platforms for source in platform.sources):
        log.info("pull.started", source=source.path)


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking again and again through what stays for the life of the process.

    Modules, phone number metadata and the catalogue are some hundred thousand objects; reports are freed by their
    reference counts. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)


@asynccontextmanager
async def storing(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Storage]:
    """PostgreSQL, the spool, and the tasks between them, while the block runs. A task that dies sets `stop`."""
    async with AsyncExitStack() as stack:
        url = await _database(settings, stack)
        # Reports are spooled until it is there; refusing to start would lose them.
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
        _follow(metrics, spool, maintenance)
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
    """Tasks that run beside the block; the last one given is cancelled first. Raises what one of them died of.

    Cancelled while it waits for one of them to end, it waits for none.
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
    """The URL of the database; the embedded one runs and has the right schema."""
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
    """What is rejected may be a report, and is kept no longer than those."""
    return min(settings.rejected_days, settings.retention_days or settings.rejected_days)


def windows_h(settings: Settings) -> dict[str, int]:
    """Hours within which each platform reports: its own, unless the operator knows better."""
    known: dict[str, int] = {provider.name: provider.reporting_window_h for provider in PROVIDERS}
    return known | settings.reporting_windows_h


def _follow(metrics: Metrics, spool: Spool, maintenance: Maintenance) -> None:
    set_from(metrics.spool_payloads, lambda: spool.depth.callbacks)
    set_from(metrics.spool_bytes, lambda: spool.depth.file_bytes)
    set_from(metrics.spool_oldest_age_seconds, lambda: spool.depth.age_s)
    follow_days_left(metrics, lambda: maintenance.days_left)
