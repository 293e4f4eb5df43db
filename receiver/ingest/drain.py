"""Drains the spool into PostgreSQL, in order of arrival, as soon as PostgreSQL takes reports again."""

import asyncio
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final, TypeVar

from receiver.ingest.accept import Observe, parse_inbound
from receiver.ingest.drain_told import DrainTold
from receiver.ingest.quarantine import Quarantine
from receiver.store.durable import DurableStore, is_plain
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.spool import Spool, SpoolError
from receiver.store.writer import PROBE, DatabaseUnavailable, Writer
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_MAX_BATCH: Final = 500
"""Most callbacks in one transaction of the drain: live callbacks wait for its end."""

_LIMIT_STEP: Final = 20
"""The batch limit grows by this after each success, and is halved after a failure."""

_TURN_S: Final = 0.002
"""The drain yields to live callbacks after working for this long."""

_RETRY_FIRST_S: Final = 0.2
_RETRY_MAX_S: Final = 2.0

T = TypeVar("T")

log = get_logger()


class Drain:
    """Runs beside the store. Callbacks that PostgreSQL does not take, although it takes others, are quarantined."""

    def __init__(
        self,
        store: DurableStore,
        writer: Writer,
        spool: Spool,
        metrics: Metrics,
        quarantine: Quarantine,
        observe: Observe,
    ) -> None:
        self._durable = store
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._quarantine = quarantine
        self._observe = observe
        self._draining = False
        self._limit = _MAX_BATCH
        self._logged_depth = 1
        self._told = DrainTold()

    async def run(self) -> None:
        """Drain the spool until cancelled."""
        if self._spool.depth.callbacks:
            self._durable.spooled.set()
        delay = _RETRY_FIRST_S
        while True:
            await self._durable.spooled.wait()
            self._log_opened()
            try:
                await self._drain()
            except (DatabaseUnavailable, SpoolError) as error:
                if isinstance(error, SpoolError):
                    log.error("spool.failed", error=str(error))
                self._log_growth()
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_MAX_S)
            else:
                delay = _RETRY_FIRST_S

    async def _drain(self) -> None:
        """Drain everything that is spooled: while PostgreSQL writes one batch, the next is read and parsed.

        With an empty spool, probe whether PostgreSQL is back.
        """
        try:
            batch = await self._next_batch(after=0)
        except SpoolError:
            await self._writer.retry(PROBE)  # an unreadable spool says nothing about PostgreSQL
            raise
        if not batch:
            await self._probe()
        self._told.begun()
        while batch:
            next_batch = asyncio.create_task(self._next_batch(after=max(batch)))
            next_batch.add_done_callback(_retrieve_exception)
            try:
                await self._store(batch)
                batch = await next_batch
            finally:
                next_batch.cancel()

    async def _next_batch(self, after: int) -> dict[int, Job]:
        """The jobs of the next callbacks in the spool after number `after`, by number."""
        read = await self._spool.oldest(self._limit, after, self._quarantine.numbers)
        return {number: (await parse_inbound(callback)).job async for number, callback in _with_yields(read)}

    async def _store(self, batch: dict[int, Job]) -> None:
        """Commit a batch; only committed callbacks leave the spool. Raises DatabaseUnavailable in an outage."""
        outcomes = dict(zip(batch, await self._write_all(list(batch.values())), strict=True))
        await self._finish({n: (batch[n], one) for n, one in outcomes.items() if isinstance(one, Receipt)})
        failed = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        if not failed:
            self._limit = min(self._limit + _LIMIT_STEP, _MAX_BATCH)
            return
        # The batch may have been too large for the time-out.
        self._limit = max(self._limit // 2, 1)
        if any(not isinstance(error, DatabaseUnavailable) for error in failed):
            raise failed[0]
        # If PostgreSQL takes a write, the breaker closes for live callbacks: the outage is over, or some were too slow.
        await self._writer.retry(PROBE)
        again = {number: batch[number] for number, outcome in outcomes.items() if not isinstance(outcome, Receipt)}
        for piece in _pieces(again, self._limit, self._writer.max_flush):
            await self._store_apart(piece)

    async def _store_apart(self, jobs: dict[int, Job]) -> None:
        """Store a smaller batch on the quarantine's own connection, for which no live callback waits; if it fails there
        too, one by one.
        """
        stored = await self._store_together({number: job for number, job in jobs.items() if is_plain(job)})
        for number, job in jobs.items():
            if number not in stored:
                await self._store_alone(number, job)

    async def _store_together(self, jobs: dict[int, Job]) -> Container[int]:
        """Store them in one transaction. Returns the numbers of those that are."""
        if len(jobs) <= 1:
            return ()
        try:
            receipts = await self._quarantine.write_all(list(jobs.values()))
        except DatabaseUnavailable:
            await self._writer.retry(PROBE)
            return ()
        outcomes = [await self._with_rejection(job, one) for job, one in zip(jobs.values(), receipts, strict=True)]
        pairs = zip(jobs.items(), outcomes, strict=True)
        stored = {number: (job, one) for (number, job), one in pairs if isinstance(one, Receipt)}
        await self._finish(stored)
        return stored

    async def _store_alone(self, number: int, job: Job) -> None:
        """Store one callback on the quarantine's own connection: it may be too slow for live callbacks to wait."""
        try:
            receipt = await self._durable.write(job, self._quarantine.write)
        except DatabaseUnavailable:
            await self._writer.retry(PROBE)
            self._quarantine.add(number, job)
        else:
            await self._finish({number: (job, receipt)})

    async def _finish(self, stored: dict[int, tuple[Job, Receipt]]) -> None:
        """Remove committed callbacks from the spool, and log them."""
        if stored:
            await self._spool.remove(list(stored))
            self._metrics.spool_drained.inc(len(stored))
            self._told.advanced(len(stored), self._spool.depth.callbacks)
        async for job, receipt in _with_yields(stored.values()):
            await self._observe(job, Kept(KeptIn.DATABASE, receipt))

    async def _write_all(self, jobs: Sequence[Job]) -> list[Receipt | BaseException]:
        """The receipt or error of each job. Plain jobs, nearly all, are submitted together, without a task for each."""
        retry = self._writer.retry
        outcomes = await asyncio.gather(
            *(self._writer.submit(job) if is_plain(job) else self._durable.write(job, retry) for job in jobs),
            return_exceptions=True,
        )
        return [await self._with_rejection(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    async def _with_rejection(self, job: Job, outcome: Receipt | BaseException) -> Receipt | BaseException:
        """The outcome of a job, after the body of a plain job with refused rows has been kept as rejected."""
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
        elif self._draining and not waiting:
            self._draining = False
            self._logged_depth = 1
            log.info("spool.drained")

    def _log_opened(self) -> None:
        if not self._draining and self._spool.depth.callbacks:
            self._draining = True
            log.warning("spool.opened")

    def _log_growth(self) -> None:
        """Log each time that the spool has doubled: often early in an outage, rarely later."""
        depth = self._spool.depth
        if depth.callbacks >= 2 * self._logged_depth:
            self._logged_depth = depth.callbacks
            log.warning(
                "spool.growing", callbacks=depth.callbacks, oldest_s=round(depth.age_s), file_bytes=depth.file_bytes
            )


def _pieces(jobs: dict[int, Job], most: int, rows: int) -> Iterator[dict[int, Job]]:
    """The jobs in their order, at most so many together, and of at most so many rows, unless one alone has more."""
    piece: dict[int, Job] = {}
    size = 0
    for number, job in jobs.items():
        if piece and (len(piece) == most or size + job.size > rows):
            yield piece
            piece, size = {}, 0
        piece[number] = job
        size += job.size
    if piece:
        yield piece


def _retrieve_exception(task: "asyncio.Task[dict[int, Job]]") -> None:
    """Retrieve the exception of a batch that is not awaited because the one before it failed."""
    if not task.cancelled():
        task.exception()


async def _with_yields(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a yield to live callbacks after each turn."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() - began > _TURN_S:
            await asyncio.sleep(0)
            began = perf_counter()
