"""Keeping callbacks: in PostgreSQL, else in the spool, else not at all, and always within a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from receiver.logs import get_logger
from receiver.metrics import Metrics
from receiver.store.intake import understand
from receiver.store.job import Job, Kept, Place, Receipt
from receiver.store.record import record
from receiver.store.spool import Spool, SpoolError
from receiver.store.spoolfile import SpoolFull
from receiver.store.writer import PROBE, DatabaseUnavailable, QueueFull, Writer

_SPOOL_SHARE: Final = 0.25
"""Part of the answer's deadline that is left for the spool when PostgreSQL has used up the rest."""

_DRAIN_CALLBACKS: Final = 200
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0

log = get_logger()


class CannotKeep(Exception):  # noqa: N818 - not a fault but an answer: try again later
    """Neither PostgreSQL nor the spool can take this callback now."""


class Keeper:
    """The writer, the spool behind it, and the way back from the one to the other."""

    def __init__(self, writer: Writer, spool: Spool, metrics: Metrics, *, deadline_s: float) -> None:
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._wanted = asyncio.Event()
        self._opened = False

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
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._keep(job)
        except TimeoutError:
            raise CannotKeep("nothing could keep it in time") from None

    async def _keep(self, job: Job) -> Kept:
        with suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(self._deadline_s * (1 - _SPOOL_SHARE)):
                return Kept(Place.DATABASE, await self._write(job, self._writer.write))
        self._wanted.set()
        try:
            await self._spool.put(job.callback)
        except SpoolFull as error:
            raise CannotKeep(str(error)) from error
        self._metrics.spool_writes.inc()
        self._note_opened()
        return Kept(Place.SPOOL, Receipt())

    async def _write(self, job: Job, write: Callable[[Job], Awaitable[Receipt]]) -> Receipt:
        """Write the job, and what the database refuses of it as a rejected payload."""
        try:
            receipt = await write(job)
            if receipt.refused:
                reasons = "; ".join(sorted(set(receipt.refused.values())))
                await write(replace(job, reports=(), replies=(), error=reasons))
        except QueueFull as error:
            raise CannotKeep("too many callbacks wait for the database") from error
        return receipt

    def _note_opened(self) -> None:
        if not self._opened:
            self._opened = True
            log.warning("spool.opened")
        self._wanted.set()

    async def run(self) -> None:
        """Bring what is spooled into PostgreSQL, for ever; cancel to stop."""
        if self._spool.depth.callbacks:
            self._note_opened()
        delay = _RETRY_FIRST_S
        while True:
            await self._wanted.wait()
            try:
                await self._drain()
            except (DatabaseUnavailable, CannotKeep, SpoolError):
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_MOST_S)
            else:
                delay = _RETRY_FIRST_S

    async def _drain(self) -> None:
        """One batch, as one group of the writer's; an empty spool asks whether PostgreSQL is back at all."""
        batch = await self._spool.oldest(_DRAIN_CALLBACKS)
        if not batch:
            await self._writer.retry(PROBE)
            self._wanted.clear()
            if self._spool.depth.callbacks:
                self._wanted.set()
            elif self._opened:
                self._opened = False
                log.info("spool.drained")
            return
        jobs = [understand(callback).job for _, callback in batch]
        receipts = await asyncio.gather(*(self._write(job, self._writer.retry) for job in jobs))
        await self._spool.remove([number for number, _ in batch])
        self._metrics.spool_drained.inc(len(batch))
        for job, receipt in zip(jobs, receipts, strict=True):
            record(job, Kept(Place.DATABASE, receipt), self._metrics)
