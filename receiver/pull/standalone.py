"""Pulling without a callback listener: `receiver pull` as a service of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from receiver.logs import get_logger
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.settings import Settings
from receiver.storage import background, opened
from receiver.web import ops, ops_token
from receiver.web.listener import Listener, ops_guard

log = get_logger()


async def serve(settings: Settings, platforms: Sequence[Opened]) -> None:
    """Pull until SIGTERM or SIGINT, then keep what is in hand and stop. Raises what keeps it from running."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, platforms, stop):
        await stop.wait()
        log.info("service.stopping")
    log.info("service.stopped")


@asynccontextmanager
async def running(settings: Settings, platforms: Sequence[Opened], stop: asyncio.Event) -> AsyncIterator[ops.Ops]:
    """The pull while the block runs, and its ops listener."""
    async with opened(settings, stop) as kept:
        app = web.Application(middlewares=ops_token.guards(settings))
        ops.add_routes(app, kept)
        listener = Listener(app, settings, ops_guard(settings, kept.metrics), settings.ops_host, settings.ops_port)
        loops = pulls(platforms, kept.keeper, kept.metrics, settings.data_dir)
        async with background(stop, *loops), listener.open(reuse_port=False):
            log.info("ops.listening", url=listener.url)
            ops_token.warn_if_open(settings)
            for source in (source for platform in platforms for source in platform.sources):
                log.info("pull.started", source=source.path)
            kept.phase = "serving"
            yield kept
            kept.phase = "stopping"
