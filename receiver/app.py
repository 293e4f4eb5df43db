"""The service: what is started, in which order, and how it stops without losing a report."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final, NamedTuple

from aiohttp import web

from receiver import metrics as metric_set
from receiver.logs import get_logger
from receiver.metrics import Metrics, follow
from receiver.settings import Settings
from receiver.store import embedded, migrate
from receiver.store.keeper import Keeper
from receiver.store.partitions import Maintenance, follow_days_left
from receiver.store.preparation import prepared, until_prepared
from receiver.store.spool import Spool
from receiver.store.writer import Writer
from receiver.web import callbacks, ops
from receiver.web.listener import Listener

DISTRIBUTION: Final = "delivery-report-receiver"

log = get_logger()


class Listeners(NamedTuple):
    """Both, listening."""

    public: Listener
    ops: Listener


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then answer what is under way and stop. Raises what keeps it from running."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, stop):
        await stop.wait()


@asynccontextmanager
async def running(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Listeners]:
    """The service while the block runs. A background task that dies sets `stop`."""
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
        keeper = Keeper(writer, spool, metrics, deadline_s=settings.answer_deadline_s)
        maintenance = Maintenance(
            url, metrics, days_ahead=settings.partition_days_ahead, retention_days=settings.retention_days
        )
        _follow(metrics, spool, maintenance)
        tasks = await stack.enter_async_context(
            _background(stop, writer.run(), keeper.run(), _maintain(url, maintenance, is_prepared=is_prepared))
        )
        ops_context = ops.Ops(keeper=keeper, metrics=metrics, maintenance=maintenance, spool=spool)
        listeners = await _listen(settings, stack, keeper, ops_context)
        yield listeners
        ops_context.stopping = True
        log.info("service.stopping")
        await listeners.public.drain(settings.drain_delay_s)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
    log.info("service.stopped")


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the database; the embedded one runs and has the right schema."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = await stack.enter_async_context(embedded.running(settings.data_dir))
    await migrate.upgrade(server.url)
    return server.url


async def _maintain(url: str, maintenance: Maintenance, *, is_prepared: bool) -> None:
    if not is_prepared:
        await until_prepared(url)
    await maintenance.run()


def _follow(metrics: Metrics, spool: Spool, maintenance: Maintenance) -> None:
    follow(metrics.spool_payloads, lambda: spool.depth.callbacks)
    follow(metrics.spool_bytes, lambda: spool.depth.file_bytes)
    follow(metrics.spool_oldest_age_seconds, lambda: spool.depth.age_s)
    follow_days_left(metrics, lambda: maintenance.days_left)


@asynccontextmanager
async def _background(
    stop: asyncio.Event, *coroutines: Coroutine[None, None, None]
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that run beside the listeners; the last one given is cancelled first."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    try:
        yield tasks
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])


async def _listen(settings: Settings, stack: AsyncExitStack, keeper: Keeper, ops_context: ops.Ops) -> Listeners:
    """Start both listeners. The ops one is stopped last, so that it can tell what happens until then."""
    ops_app = web.Application()
    ops.add_routes(ops_app, ops_context)
    ops_listener = Listener(ops_app, settings, settings.ops_host, settings.ops_port)
    await stack.enter_async_context(ops_listener.open(reuse_port=False))
    app = web.Application(client_max_size=settings.max_body_bytes + 1)
    callbacks.add_routes(
        app,
        callbacks.Callbacks(
            keeper=keeper,
            metrics=ops_context.metrics,
            tokens=[token.get_secret_value().encode() for token in settings.callback_tokens],
            max_body_bytes=settings.max_body_bytes,
            body_timeout_s=settings.body_timeout_s,
        ),
    )
    listener = Listener(app, settings, settings.host, settings.port)
    await stack.enter_async_context(listener.open(reuse_port=settings.reuse_port))
    log.info("ops.listening", url=ops_listener.url)
    for path in callbacks.paths(with_token=bool(settings.callback_tokens)):
        log.info("callback.listening", url=listener.url + path)
    return Listeners(listener, ops_listener)
