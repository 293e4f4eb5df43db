"""The drain at work, without a service around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from receiver.ingest.accept import Observe
from receiver.ingest.drain import Drain
from receiver.ingest.observe import observe
from receiver.ingest.quarantine import Quarantine
from receiver.ingest.recent import Recent
from receiver.store import postgres
from receiver.store.durable import DurableStore
from receiver.store.postgres import Connect
from receiver.store.spool import Spool
from receiver.store.writer import Writer
from receiver.telemetry.metrics import Metrics


def observing(metrics: Metrics) -> Observe:
    """What logs and counts, with nobody watching."""
    return partial(observe, metrics=metrics, recent=Recent())


@asynccontextmanager
async def draining(
    url: str,
    writer: Writer,
    spool: Spool,
    metrics: Metrics,
    *,
    timeout_s: float = 20.0,
    connect: Connect = postgres.connect,
) -> AsyncIterator[DurableStore]:
    """A keeper whose spool is drained while the block runs."""
    keeper = DurableStore(writer, spool, metrics, deadline_s=20.0)
    quarantine = Quarantine(url, keeper, spool, metrics, observing(metrics), timeout_s=timeout_s, connect=connect)
    running = asyncio.create_task(Drain(keeper, writer, spool, metrics, quarantine, observing(metrics)).run())
    try:
        yield keeper
    finally:
        running.cancel()
        await asyncio.wait([running])
        await quarantine.close()


async def drained(spool: Spool, *, timeout_s: float = 30.0) -> None:
    """Return once nothing is spooled."""
    async with asyncio.timeout(timeout_s):
        while spool.depth.callbacks:
            await asyncio.sleep(0.02)
