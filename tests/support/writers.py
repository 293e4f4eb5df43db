"""The writer at work, without a service around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from receiver.store.job import Job, Receipt
from receiver.store.writer import Writer
from receiver.telemetry.metrics import Metrics, build
from support.reports import job, report


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


def of(message: str, *codes: str, **changes: object) -> Job:
    """A callback with reports about one message."""
    return job(*(report(code, message_id=message) for code in codes or ("DELIVRD",)), **changes)


async def outcomes(writer: Writer, *jobs: Job) -> list[Receipt | BaseException]:
    """What comes of jobs that are written at the same time."""
    return await asyncio.gather(*(writer.write(one) for one in jobs), return_exceptions=True)
