"""Where a process keeps reports: PostgreSQL, the spool, and the tasks between them and beside them."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from receiver import embedded
from receiver.extras import DISTRIBUTION
from receiver.ingest.accept import Ingest
from receiver.ingest.drain import Drain
from receiver.ingest.left_spools import LeftSpools
from receiver.ingest.observe import observe
from receiver.ingest.quarantine import Quarantine
from receiver.ingest.recent import Recent
from receiver.providers import PROVIDERS
from receiver.settings import Settings
from receiver.store import postgres, spool_folders
from receiver.store import schema as migrate
from receiver.store.durable import DurableStore
from receiver.store.host_watch import HostWatch
from receiver.store.maintenance import counts, overdue, rejected_quota
from receiver.store.maintenance.partitions import Maintenance, set_days_left_from
from receiver.store.maintenance.periodic import Periodic, connected_to_commit, repeat_all
from receiver.store.maintenance.rejected_quota import RejectedQuota
from receiver.store.postgres import Connect
from receiver.store.readiness import until_ready, version_if_ready
from receiver.store.spool import Spool
from receiver.store.timelines import Timelines, load
from receiver.store.writer import Writer
from receiver.telemetry import metrics as metric_set
from receiver.telemetry.metrics import Metrics, set_from
from receiver.web.view import OneProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A process's part in a service; by default it is the whole service.

    A worker has a `slot`. The main process has none: it maintains the database, and drains the spools of workers that
    are not `living`, which are slots. `processes` divide the quota of rejected payloads. `database_setting` is the
    setting behind the database's URL, where it is not in this process's settings.
    """

    slot: int | None = None
    database_setting: str | None = None
    processes: int = 1
    living: Callable[[], Container[int]] = tuple

    def spool_folder(self, settings: Settings) -> Path:
        """Folder of the process's own spool."""
        if self.slot is None:
            return spool_folders.main_folder(settings.data_dir)
        return spool_folders.worker_folder(settings.data_dir, self.slot)


_WHOLE: Final = Role()


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """PostgreSQL and the spool, with the tasks between them running.

    `url` is the database's; `server` is PostgreSQL's version, None if it could not be reached at the start.
    """

    url: str
    server: str | None
    store: DurableStore
    ingest: Ingest
    metrics: Metrics
    maintenance: Maintenance
    spool: Spool
    left: LeftSpools
    recent: Recent
    watch: HostWatch
    timelines: Timelines

    @property
    def view(self) -> OneProcess:
        """What an ops listener tells of it."""
        return OneProcess(
            store=self.store,
            registered=self.metrics,
            maintenance=self.maintenance,
            spool=self.spool,
            left=lambda: self.left.spools,
            ring=self.recent,
            watch=self.watch,
        )


@asynccontextmanager
async def storing(settings: Settings, stop: asyncio.Event, role: Role = _WHOLE) -> AsyncIterator[Storage]:
    """PostgreSQL, the spool, and the tasks between them, while the block runs. A task that dies sets `stop`."""
    async with AsyncExitStack() as stack:
        url = await _database(settings, stack)
        setting = role.database_setting or settings.database_setting
        # Without a database reports are spooled; to refuse the start would lose them.
        timelines = Timelines(load(settings.data_dir))
        server = await version_if_ready(url, setting, timelines.judge)
        metrics = metric_set.build(version(DISTRIBUTION))
        recent = Recent()
        observing = partial(observe, metrics=metrics, recent=recent)
        spool = Spool(role.spool_folder(settings), settings.spool_max_bytes)
        stack.push_async_callback(spool.close)
        connect = connect_to_write(settings, timelines)
        writer = _writer(settings, url, metrics, connect)
        quota = RejectedQuota(
            metrics, settings.rejected_max_bytes, processes=role.processes, body_bytes=settings.max_body_bytes
        )

        def store_over(spool: Spool) -> DurableStore:
            return DurableStore(writer, spool, metrics, deadline_s=settings.answer_deadline_s, rejected=quota)

        @asynccontextmanager
        async def draining(spool: Spool, store: DurableStore | None = None) -> AsyncIterator[None]:
            store = store or store_over(spool)
            timeout_s = settings.database_timeout_s
            quarantine = Quarantine(url, store, spool, metrics, observing, timeout_s=timeout_s, connect=connect)
            try:
                async with background(stop, Drain(store, writer, spool, metrics, quarantine, observing).run()):
                    yield
            finally:
                await quarantine.close()

        store = store_over(spool)
        left = LeftSpools(settings.data_dir, settings.spool_max_bytes, draining, role.living)
        maintenance = _maintenance(settings)
        metrics.spool_max_bytes.set(settings.spool_max_bytes)
        storage = Storage(
            url=url,
            server=server,
            store=store,
            ingest=Ingest(store.keep, observing),
            metrics=metrics,
            maintenance=maintenance,
            spool=spool,
            left=left,
            recent=recent,
            watch=_watch(settings, url, timelines, role),
            timelines=timelines,
        )
        _set_gauges(storage)
        rounds = [rejected_quota.periodic(quota, rejected_days(settings))]  # it renews this process's own share
        tasks = [_maintain(url, setting, rounds, timelines, ready=server is not None), storage.watch.run()]
        if role.slot is None:
            rounds += [maintenance.periodic, counts.periodic(), overdue.periodic(windows_h(settings))]
            tasks.append(left.run())
        await stack.enter_async_context(background(stop, writer.run()))
        await stack.enter_async_context(draining(spool, store))
        await stack.enter_async_context(background(stop, *tasks))
        yield storage


@asynccontextmanager
async def background(stop: asyncio.Event, *coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Tasks that run beside the block; the last one given is cancelled first. Raises the error of a task that died.

    If it is cancelled while it waits for the tasks' end, it cancels them all and stops waiting.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]

    def on_death(_: "asyncio.Task[None]") -> None:
        stop.set()

    for task in tasks:
        task.add_done_callback(on_death)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(on_death)
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


def connect_to_write(settings: Settings, known: Timelines) -> Connect:
    """For all that stores reports: never to an old primary, and with a replica where the settings require one."""
    return partial(postgres.connect, timelines=known, needs_replica=settings.require_sync_replica)


def _writer(settings: Settings, url: str, metrics: Metrics, connect: Connect) -> Writer:
    return Writer(
        url,
        metrics,
        timeout_s=settings.database_timeout_s,
        max_queue=settings.queue_max_reports,
        max_flush=settings.flush_max_reports,
        connect=connect,
    )


def _watch(settings: Settings, url: str, timelines: Timelines, role: Role) -> HostWatch:
    """One process of a service looks at its hosts; the embedded PostgreSQL has no other."""
    looks = role.slot is None and settings.database_url is not None
    return HostWatch(url, timelines, settings.data_dir, looks=looks)


def _maintenance(settings: Settings) -> Maintenance:
    return Maintenance(
        days_ahead=settings.partition_days_ahead,
        retention_days=settings.retention_days,
        counts_days=settings.counts_days,
    )


async def _maintain(url: str, setting: str, rounds: Sequence[Periodic], timelines: Timelines, *, ready: bool) -> None:
    if not ready:
        await until_ready(url, setting, timelines.judge)
    await repeat_all(rounds, partial(connected_to_commit, url, timelines.judge))


def rejected_days(settings: Settings) -> int:
    """Days that rejected payloads are kept: no longer than reports, as they may contain some."""
    return min(settings.rejected_days, settings.retention_days or settings.rejected_days)


def windows_h(settings: Settings) -> dict[str, int]:
    """Hours within which each platform reports, by platform: the settings override the documented ones."""
    known: dict[str, int] = {provider.name: provider.reporting_window_h for provider in PROVIDERS}
    return known | settings.reporting_windows_h


def _set_gauges(storage: Storage) -> None:
    metrics, view, watch = storage.metrics, storage.view, storage.watch
    set_from(metrics.spool_payloads, lambda: view.depth.callbacks)
    set_from(metrics.spool_bytes, lambda: view.depth.file_bytes)
    set_from(metrics.spool_oldest_age_seconds, lambda: view.depth.age_s)
    set_days_left_from(metrics, lambda: storage.maintenance.days_left)
    set_from(metrics.partitions_overdue, lambda: storage.maintenance.overdue)
    set_from(metrics.stale_primaries, lambda: watch.stale)
    set_from(metrics.sync_replica, lambda: math.nan if watch.replicated is None else watch.replicated)
