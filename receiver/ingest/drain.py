"""The way back from the spool: in the order of arrival into PostgreSQL, as soon as it takes reports again."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from time import perf_counter
from typing import Final, TypeVar

from receiver.ingest.observe import observe
from receiver.ingest.quarantine import Quarantine
from receiver.ingest.understand import parse_inbound
from receiver.store.durable import DurableStore, is_plain
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.spool import Spool, SpoolError
from receiver.store.writer import PROBE, DatabaseUnavailable, Writer
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_CALLBACKS: Final = 500
"""Most callbacks that are drained in one transaction: live ones wait behind it."""

_MORE: Final = 20
"""So many more after each batch that went well, up to the most; what was too large is halved."""

_TURN_S: Final = 0.002
"""How long the drain works before it lets live callbacks go between."""

_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 2.0

T = TypeVar("T")

log = get_logger()


class Drain:
    """Runs beside the store. What PostgreSQL does not take although it takes others goes to the quarantine."""

    def __init__(
        self, store: DurableStore, writer: Writer, spool: Spool, metrics: Metrics, quarantine: Quarantine
    ) -> None:
        self._durable = store
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._quarantine = quarantine
        self._opened = False
        self._limit = _CALLBACKS
        self._told_depth = 1

    async def run(self) -> None:
        """Bring what is spooled into PostgreSQL, for ever; cancel to stop."""
        if self._spool.depth.callbacks:
            self._durable.spooled.set()
        delay = _RETRY_FIRST_S
        while True:
            await self._durable.spooled.wait()
            self._note_opened()
            try:
                await self._drain()
            except (DatabaseUnavailable, SpoolError) as error:
                if isinstance(error, SpoolError):
                    log.error("spool.failed", error=str(error))  # noqa: TRY400 - a state of the disk, no bug
                self._note_growth()
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_MOST_S)
            else:
                delay = _RETRY_FIRST_S

    async def _drain(self) -> None:
        """All that is spooled: while PostgreSQL writes one batch, the next is read and understood.

        An empty spool asks whether PostgreSQL is back at all.
        """
        try:
            batch = await self._next_batch(after=0)
        except SpoolError:
            await self._writer.retry(PROBE)  # that the spool can't be read says nothing about PostgreSQL
            raise
        if not batch:
            await self._probe()
        while batch:
            ahead = asyncio.create_task(self._next_batch(after=max(batch)))
            ahead.add_done_callback(_look_at)
            try:
                await self._store(batch)
                batch = await ahead
            finally:
                ahead.cancel()

    async def _next_batch(self, after: int) -> dict[int, Job]:
        """What is spooled behind a number, by number."""
        read = await self._spool.oldest(self._limit, after, self._quarantine.numbers)
        return {number: (await parse_inbound(callback)).job async for number, callback in _in_turns(read)}

    async def _store(self, batch: dict[int, Job]) -> None:
        """Commit a batch; only what is committed is forgotten. Raises DatabaseUnavailable where PostgreSQL is away."""
        outcomes = dict(zip(batch, await self._write_all(list(batch.values())), strict=True))
        await self._finish({n: (batch[n], one) for n, one in outcomes.items() if isinstance(one, Receipt)})
        failed = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        if not failed:
            self._limit = min(self._limit + _MORE, _CALLBACKS)
            return
        # A batch that was too large for the time-out must not come again as it was.
        self._limit = max(self._limit // 2, 1)
        if any(not isinstance(error, DatabaseUnavailable) for error in failed):
            raise failed[0]
        # Where PostgreSQL takes a change, the breaker closes for live callbacks, and what failed is tried one by one.
        await self._writer.retry(PROBE)
        for number, outcome in outcomes.items():
            if not isinstance(outcome, Receipt):
                await self._store_apart(number, batch[number])

    async def _store_apart(self, number: int, job: Job) -> None:
        """On the quarantine's own connection, so that no live callback waits for what may be too slow."""
        try:
            receipt = await self._durable.write(job, self._quarantine.write)
        except DatabaseUnavailable:
            await self._writer.retry(PROBE)
            self._quarantine.add(number, job)
        else:
            await self._finish({number: (job, receipt)})

    async def _finish(self, stored: dict[int, tuple[Job, Receipt]]) -> None:
        """Forget what is committed, and tell of it."""
        if stored:
            await self._spool.remove(list(stored))
            self._metrics.spool_drained.inc(len(stored))
        async for job, receipt in _in_turns(stored.values()):
            await observe(job, Kept(KeptIn.DATABASE, receipt), self._metrics)

    async def _write_all(self, jobs: Sequence[Job]) -> list[Receipt | BaseException]:
        """What came of each spooled job. The small and good ones, nearly all, are one group without a task for each."""
        retry = self._writer.retry
        outcomes = await asyncio.gather(
            *(self._writer.submit(job) if is_plain(job) else self._durable.write(job, retry) for job in jobs),
            return_exceptions=True,
        )
        return [await self._settled(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    async def _settled(self, job: Job, outcome: Receipt | BaseException) -> Receipt | BaseException:
        """What the database refuses of a small job is still to be kept as rejected."""
        if isinstance(outcome, Receipt) and outcome.refused and is_plain(job):
            try:
                await self._durable.reject(job, outcome, self._writer.retry)
            except DatabaseUnavailable as error:
                return error
        return outcome

    async def _probe(self) -> None:
        await self._writer.retry(PROBE)
        self._durable.spooled.clear()
        waiting = self._spool.depth.callbacks
        if waiting > len(self._quarantine.numbers) or not self._writer.available:
            self._durable.spooled.set()
        elif self._opened and not waiting:
            self._opened = False
            self._told_depth = 1
            log.info("spool.drained")

    def _note_opened(self) -> None:
        if not self._opened and self._spool.depth.callbacks:
            self._opened = True
            log.warning("spool.opened")

    def _note_growth(self) -> None:
        """A line each time that the spool has doubled: many while an outage is young, few when it is long."""
        depth = self._spool.depth
        if depth.callbacks >= 2 * self._told_depth:
            self._told_depth = depth.callbacks
            log.warning(
                "spool.growing", callbacks=depth.callbacks, oldest_s=round(depth.age_s), file_bytes=depth.file_bytes
            )


def _look_at(task: "asyncio.Task[dict[int, Job]]") -> None:
    """Where the batch before it failed too, nobody else asks how it ended."""
    if not task.cancelled():
        task.exception()


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a break for live callbacks whenever a turn is over."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() - began > _TURN_S:
            await asyncio.sleep(0)
            began = perf_counter()
