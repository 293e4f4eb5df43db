"""The loop that runs every kind of maintenance periodically, each round on its own connection and within a deadline."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg

from receiver.store import sql
from receiver.store.postgres import TRANSIENT
from receiver.store.racing import Refusal
from receiver.store.schema import connect
from receiver.telemetry.logs import get_logger

Round = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]
Connect = Callable[[], AbstractAsyncContextManager["asyncpg.Connection[asyncpg.Record]"]]

_PATIENCE_MS: Final = 1000

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A round and its schedule, in seconds.

    `retry_s` is the pause after a failed round; `jitter` is the fraction by which any pause varies, to spread several
    instances. `wake` starts the next round before the interval is over, but not sooner than `least_s` after the last.
    """

    run: Round
    failed_event: str
    interval_s: float
    retry_s: float
    deadline_s: float
    jitter: float = 0.0
    least_s: float = 0.0
    wake: asyncio.Event | None = None


@asynccontextmanager
async def connected(url: str, refused: Refusal | None = None) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection for maintenance, to a host that is not refused."""
    connection = await connect(url, refused)
    try:
        yield connection
    finally:
        connection.terminate()  # `close` would wait for a hung server, and delay the shutdown


@asynccontextmanager
async def connected_to_commit(
    url: str, refused: Refusal | None = None
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The same for rounds that go on by themselves. Raises where PostgreSQL's commits are not confirmed."""
    async with connected(url, refused) as connection:
        await connection.execute(sql.NOT_UNCONFIRMED.format(patience_ms=_PATIENCE_MS))
        yield connection


async def repeat_all(tasks: Sequence[Periodic], connect: Connect) -> None:
    """Run all of them, each on its own schedule, until cancelled."""
    await asyncio.gather(*(repeat(task, connect) for task in tasks))


async def repeat(task: Periodic, connect: Connect) -> None:
    """Run its rounds until cancelled."""
    while True:
        if task.wake is not None:
            task.wake.clear()
        succeeded = await attempt(task, connect)
        stretch = random.uniform(1 - task.jitter, 1 + task.jitter)  # noqa: S311 - no secret
        if not succeeded:
            await asyncio.sleep(task.retry_s * stretch)
            continue
        await asyncio.sleep(task.least_s * stretch)
        await _interval(task, (task.interval_s - task.least_s) * stretch)


async def attempt(task: Periodic, connect: Connect) -> bool:
    """One round; whether it succeeded. Transient errors are logged, all others raised."""
    try:
        async with asyncio.timeout(task.deadline_s), connect() as connection:
            await task.run(connection)
    except TRANSIENT as error:
        log.warning(task.failed_event, error=type(error).__name__, detail=str(error)[:200])
        return False
    return True


async def _interval(task: Periodic, seconds: float) -> None:
    if task.wake is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await task.wake.wait()
