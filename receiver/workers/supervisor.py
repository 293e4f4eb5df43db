"""The supervisor's lifecycle: the order in which the whole is started and stopped."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client import Counter, Gauge

from receiver.pages.routes import add_pages
from receiver.pages.site import Site
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.reading import reader as reading
from receiver.server.bind import format_addresses
from receiver.server.listener import Listener
from receiver.server.tls import Tls
from receiver.service import live, log_start
from receiver.settings import Settings
from receiver.storage import Role, background, storing
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics, set_from
from receiver.web import listeners
from receiver.web.ops import Ops
from receiver.workers import shares
from receiver.workers.former import former_workers_gone
from receiver.workers.team import Team
from receiver.workers.whole import Whole

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A running service of several processes."""

    ops: Listener
    team: Team

    def reload(self) -> None:
        """Let every worker read its TLS files again."""
        self.team.send(signal.SIGHUP)

    def replace(self) -> None:
        """Replace the workers one after the other."""
        self.team.replace()


async def serve(settings: Settings, platforms: Sequence[Opened] = ()) -> int:
    """As `service.serve`, with workers."""
    return await live(partial(running, settings, platforms))


@asynccontextmanager
async def running(settings: Settings, platforms: Sequence[Opened], stop: asyncio.Event) -> AsyncIterator[Supervised]:
    """The service while the block runs. A background task that dies sets `stop`. Raises OperatorError."""
    if settings.tls_certificate:
        Tls(settings)  # an unusable file stops the start before anything else is started
    async with AsyncExitStack() as stack:
        # The workers of a supervisor that was killed finish what they began, and hold the port.
        lock = await stack.enter_async_context(former_workers_gone(settings.data_dir))
        ops_sockets = await stack.enter_async_context(listeners.bound_for_ops(settings))
        sockets = await stack.enter_async_context(listeners.bound_for_callbacks(settings))
        team = Team(settings, sockets.sockets, stop, lock)
        role = Role(processes=shares.processes(settings), living=team.slots)
        storage = await stack.enter_async_context(storing(shares.of_supervisor(settings), stop, role))
        metrics = storage.metrics
        loops = pulls(platforms, storage.ingest, storage.store, metrics, settings.data_dir)
        await stack.enter_async_context(background(stop, *loops))
        state = Ops(view=Whole(storage.view, metrics, team, lambda: storage.left.slots))
        url = sockets.url(https=bool(settings.tls_certificate))
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
        opening = listeners.listening_for_ops(settings, ops_sockets, state, metrics, storage.ingest, pages)
        ops = await stack.enter_async_context(opening)
        sockets.listen()  # from here on connections wait for the workers, and are not refused
        deaths = _counted(metrics, team)
        working = team.working(storage.url, lambda: storage.left.slots, storage.left.look.set, deaths.inc)
        await stack.enter_async_context(working)
        state.phase = "serving"
        log_start(settings, storage.server, ops, (url, format_addresses(sockets.sockets)), platforms)
        yield Supervised(ops=ops, team=team)
        state.phase = "stopping"
        log.info("service.stopping")
        await asyncio.sleep(settings.shutdown_delay_s)  # `/readyz` says 503 from here on
        # The workers' are the last ones then: they accept all that is in the queue, and nothing new gets into it.
        for one in sockets.sockets:
            one.close()
    log.info("service.stopped")


def _counted(metrics: Metrics, team: Team) -> Counter:
    serving = Gauge("receiver_workers_serving", "Workers that take callbacks.", registry=metrics.registry)
    set_from(serving, lambda: team.serving)
    wanted = Gauge("receiver_workers_wanted", "Workers that there should be.", registry=metrics.registry)
    wanted.set(team.wanted)
    return Counter("receiver_worker_deaths", "Workers that ended by themselves.", registry=metrics.registry)
