"""Keeping callbacks: in PostgreSQL, else in the spool, else not at all, and always within a deadline."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final, TypeVar

from receiver.logs import get_logger
from receiver.metrics import Metrics
from receiver.store.intake import understand
from receiver.store.job import Job, Kept, Place, Receipt
from receiver.store.record import record
from receiver.store.rejected_bound import Allowance
from receiver.store.spool import Spool, SpoolError
from receiver.store.spoolfile import SpoolFull
from receiver.store.writer import PROBE, DatabaseUnavailable, QueueFull, Writer

_SPOOL_SHARE: Final = 0.25
"""Part of the answer's deadline that is left for the spool when PostgreSQL has used up the rest."""

_DRAIN_CALLBACKS: Final = 500
"""Most callbacks that are drained in one transaction: live ones wait behind it."""

_DRAIN_MORE: Final = 20
"""So many more after each batch that went well, up to the most; what was too large is halved."""

_TURN_S: Final = 0.002
"""How long the drain works before it lets live callbacks go between."""

_PART_ROWS: Final = 1_000
"""Most rows of one callback in one transaction: what is written within the time-out must not depend on its size."""

_REJECTED_BYTES: Final = 1 << 30
"""Where nobody says how much may be rejected."""

_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 2.0

T = TypeVar("T")
Write = Callable[[Job], Awaitable[Receipt]]

log = get_logger()


class CannotKeep(Exception):  # noqa: N818 - not a fault but an answer: try again later
    """Neither PostgreSQL nor the spool can take this callback now."""


class Keeper:
    """The writer, the spool behind it, and the way back from the one to the other."""

    def __init__(
        self, writer: Writer, spool: Spool, metrics: Metrics, *, deadline_s: float, rejected: Allowance | None = None
    ) -> None:
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._rejected = rejected or Allowance(metrics, _REJECTED_BYTES)
        self._wanted = asyncio.Event()
        self._opened = False
        self._drain_limit = _DRAIN_CALLBACKS
        self._told_depth = 1

    @property
    def database_takes(self) -> bool:
        """Whether PostgreSQL took what it was last given."""
        return self._writer.available

    @property
    def spool_takes(self) -> bool:
        """Whether there is room in the spool and on its disk."""
        return self._spool.has_room

    async def keep(self, job: Job) -> Kept:
        """Return once the callback is on a disk. Raises CannotKeep, at the latest when the deadline is over."""
        now = asyncio.get_running_loop().time()
        deadline = now + self._deadline_s
        try:
            write = partial(self._writer.write, deadline=now + self._deadline_s * (1 - _SPOOL_SHARE))
            return Kept(Place.DATABASE, await self._write(job, write))
        except (DatabaseUnavailable, QueueFull, TimeoutError):
            self._wanted.set()
        if not job.ids and self._spool.has_room and not self._spool.has_room_for_rejected:
            self._rejected.drop()
            return Kept(Place.NOWHERE, Receipt(dropped=True))
        try:
            async with asyncio.timeout_at(deadline):
                await self._spool.put(job.callback)
        except SpoolFull as error:
            raise CannotKeep(str(error)) from error
        except TimeoutError:
            raise CannotKeep("nothing could keep it in time") from None
        self._metrics.spool_writes.inc()
        self._note_opened()
        return Kept(Place.SPOOL, Receipt())

    async def _write_all(self, jobs: Sequence[Job]) -> "list[Receipt | BaseException]":
        """What came of each spooled job. The small and good ones, nearly all, are one group without a task for each."""
        outcomes = await asyncio.gather(
            *(self._writer.submit(job) if _is_plain(job) else self._write(job, self._writer.retry) for job in jobs),
            return_exceptions=True,
        )
        return [await self._settled(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    async def _settled(self, job: Job, outcome: Receipt | BaseException) -> Receipt | BaseException:
        """What the database refuses of a small job is still to be kept as rejected."""
        if isinstance(outcome, Receipt) and outcome.refused and _is_plain(job):
            try:
                await self._reject(job, outcome, self._writer.retry)
            except DatabaseUnavailable as error:
                return error
        return outcome

    async def _write(self, job: Job, write: Write) -> Receipt:
        """Write the job, and what the database refuses of it as a rejected payload."""
        if _is_plain(job):
            receipt = await write(job)
        else:
            receipt = await self._write_admitted(job, write)
        await self._reject(job, receipt, write)
        return receipt

    async def _reject(self, job: Job, receipt: Receipt, write: Write) -> None:
        if receipt.refused:
            reasons = "; ".join(sorted(set(receipt.refused.values())))
            receipt.dropped |= (await self._write_admitted(job.rejection(reasons), write)).dropped

    async def _write_admitted(self, job: Job, write: Write) -> Receipt:
        """Write the job, without what is rejected in it where there is too much of that already."""
        with self._rejected.admitted(job) as admitted:
            receipt = Receipt(dropped=admitted.error != job.error)
            for part in _parts(admitted):  # one after the other, so that the small callbacks of others come between
                receipt.add(await write(part))
        return receipt

    def _note_opened(self) -> None:
        if not self._opened:
            self._opened = True
            log.warning("spool.opened")
        self._wanted.set()

    def _note_growth(self) -> None:
        """A line each time that the spool has doubled: many while an outage is young, few when it is long."""
        depth = self._spool.depth
        if depth.callbacks >= 2 * self._told_depth:
            self._told_depth = depth.callbacks
            log.warning(
                "spool.growing", callbacks=depth.callbacks, oldest_s=round(depth.age_s), file_bytes=depth.file_bytes
            )

    async def run(self) -> None:
        """Bring what is spooled into PostgreSQL, for ever; cancel to stop."""
        if self._spool.depth.callbacks:
            self._note_opened()
        delay = _RETRY_FIRST_S
        while True:
            await self._wanted.wait()
            try:
                await self._drain()
            except (DatabaseUnavailable, SpoolError) as error:
                if isinstance(error, SpoolError):
                    log.error("spool.failed", error=str(error))  # noqa: TRY400 - a state of the disk, no bug
                # A batch that was too large for the time-out must not come again as it was.
                self._drain_limit = max(self._drain_limit // 2, 1)
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
            self._drain_limit = min(self._drain_limit + _DRAIN_MORE, _DRAIN_CALLBACKS)

    async def _next_batch(self, after: int) -> dict[int, Job]:
        """What is spooled behind a number, by number."""
        read = await self._spool.oldest(self._drain_limit, after)
        return {number: understand(callback).job async for number, callback in _in_turns(read)}

    async def _store(self, batch: dict[int, Job]) -> None:
        """Commit a batch; only what is committed is forgotten. Raises what kept the rest."""
        outcomes = dict(zip(batch, await self._write_all(list(batch.values())), strict=True))
        done = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Receipt)}
        if done:
            await self._spool.remove(list(done))
            self._metrics.spool_drained.inc(len(done))
        async for number, receipt in _in_turns(done.items()):
            record(batch[number], Kept(Place.DATABASE, receipt), self._metrics)
        for outcome in outcomes.values():
            if isinstance(outcome, BaseException):
                raise outcome

    async def _probe(self) -> None:
        await self._writer.retry(PROBE)
        self._wanted.clear()
        if self._spool.depth.callbacks or not self._writer.available:
            self._wanted.set()
        elif self._opened:
            self._opened = False
            self._told_depth = 1
            log.info("spool.drained")


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


def _is_plain(job: Job) -> bool:
    """Whether the job is one transaction's worth, with nothing rejected in it."""
    return job.error is None and job.size <= _PART_ROWS


def _parts(job: Job) -> list[Job]:
    """The job in transactions of a bounded size. What got written of one that fails is a duplicate the next time."""
    if job.size <= _PART_ROWS:
        return [job] if job.size else []
    alone = replace(job, replies=(), submissions=(), error=None)
    rest = replace(job, reports=())
    cuts = range(0, len(job.reports), _PART_ROWS)
    parts = [replace(alone, reports=job.reports[at : at + _PART_ROWS]) for at in cuts]
    return [*parts, rest] if rest.size else parts
