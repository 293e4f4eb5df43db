"""The writer at work, without a service around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from receiver.store.writer import Writer
from receiver.telemetry.metrics import Metrics, build


@asynccontextmanager
async def writing(url: str, metrics: Metrics | None = None, **changes: Any) -> AsyncIterator[Writer]:
    """A patient writer: a slow machine must not turn a story about rows into one about time-outs."""
    given = {"timeout_s": 20.0, "max_queue": 50_000, "max_flush": 2_000}
    writer = Writer(url, metrics or build("test"), **(given | changes))
    running = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        running.cancel()
        await asyncio.wait([running])
