"""Everything that keeps reports, started in the right order and stopped in the reverse: for a service or a pull."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from receiver import metrics as metric_set
from receiver.metrics import Metrics, follow
from receiver.providers import PROVIDERS
from receiver.settings import Settings
from receiver.store import embedded, migrate, reporting
from receiver.store.drain import Drain
from receiver.store.keeper import Keeper
from receiver.store.partitions import Maintenance, follow_days_left
from receiver.store.preparation import prepared, until_prepared
from receiver.store.quarantine import Quarantine
from receiver.store.rejected_bound import Allowance, RejectedBound
from receiver.store.spool import Spool
from receiver.store.writer import Writer
from receiver.web.ops import Ops

DISTRIBUTION: Final = "delivery-report-receiver"


@asynccontextmanager
async def opened(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Ops]:
    """PostgreSQL, the spool, and the tasks between them, while the block runs. A task that dies sets `stop`."""
    async with AsyncExitStack() as stack:
        url = await _database(settings, stack)
        # Reports are spooled until it is there; refusing to start would lose them.
        is_prepared = await prepared(url)
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
        allowance = Allowance(metrics, settings.rejected_max_bytes)
        keeper = Keeper(writer, spool, metrics, deadline_s=settings.answer_deadline_s, rejected=allowance)
        quarantine = Quarantine(url, keeper, spool, metrics, timeout_s=settings.database_timeout_s)
        stack.push_async_callback(quarantine.close)
        drain = Drain(keeper, writer, spool, metrics, quarantine)
        bound = RejectedBound(
            url, metrics, allowance, max_bytes=settings.rejected_max_bytes, days=rejected_days(settings)
        )
        maintenance = Maintenance(
            url, metrics, days_ahead=settings.partition_days_ahead, retention_days=settings.retention_days
        )
        metrics.spool_max_bytes.set(settings.spool_max_bytes)
        _follow(metrics, spool, maintenance)
        rounds = (maintenance.run, partial(reporting.keep_fresh, url, windows_h(settings)), bound.run)
        maintaining = _maintain(url, rounds, is_prepared=is_prepared)
        await stack.enter_async_context(background(stop, writer.run(), drain.run(), maintaining))
        yield Ops(keeper=keeper, metrics=metrics, maintenance=maintenance, spool=spool)


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


async def _maintain(url: str, rounds: Sequence[Callable[[], Coroutine[Any, Any, None]]], *, is_prepared: bool) -> None:
    if not is_prepared:
        await until_prepared(url)
    await asyncio.gather(*(run() for run in rounds))


def rejected_days(settings: Settings) -> int:
    """What is rejected may be a report, and is kept no longer than those."""
    return min(settings.rejected_days, settings.retention_days or settings.rejected_days)


def windows_h(settings: Settings) -> dict[str, int]:
    """Hours within which each platform reports: its own, unless the operator knows better."""
    known: dict[str, int] = {provider.name: provider.reporting_window_h for provider in PROVIDERS}
    return known | settings.reporting_windows_h


def _follow(metrics: Metrics, spool: Spool, maintenance: Maintenance) -> None:
    follow(metrics.spool_payloads, lambda: spool.depth.callbacks)
    follow(metrics.spool_bytes, lambda: spool.depth.file_bytes)
    follow(metrics.spool_oldest_age_seconds, lambda: spool.depth.age_s)
    follow_days_left(metrics, lambda: maintenance.days_left)
