"""Keeping callbacks: in PostgreSQL, else in the spool, else not at all, and always within a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from receiver.inbound import Inbound
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.maintenance.rejected_quota import RejectedQuota
from receiver.store.spool import Spool
from receiver.store.spool_errors import SpoolFull
from receiver.store.writer import DatabaseUnavailable, QueueFull, Writer
from receiver.telemetry.metrics import Metrics

_SPOOL_SHARE: Final = 0.25
"""Part of the answer's deadline that is left for the spool when PostgreSQL has used up the rest. The spool has as much
in any case: that the event loop was late is no fault of the callback."""

_PART_ROWS: Final = 500
PART_BYTES: Final = 512 * 1024
"""Most rows of one callback in one transaction, and bytes of them: what is written within the time-out must not depend
on the callback's size."""

_REJECTED_BYTES: Final = 1 << 30
"""Where nobody says how much may be rejected."""

Write = Callable[[Job], Awaitable[Receipt]]


class StoreUnavailable(Exception):  # noqa: N818 - not a fault but an answer: try again later
    """Neither PostgreSQL nor the spool can take this callback now. `answer_context` is for the answer that says so."""

    answer_context: Mapping[str, object] = MappingProxyType({})


class DurableStore:
    """The writer, and the spool behind it. `spooled` is set whenever there is something for the drain to do."""

    def __init__(
        self,
        writer: Writer,
        spool: Spool,
        metrics: Metrics,
        *,
        deadline_s: float,
        rejected: RejectedQuota | None = None,
    ) -> None:
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._rejected = rejected or RejectedQuota(metrics, _REJECTED_BYTES)
        self.spooled = asyncio.Event()

    @property
    def database_takes(self) -> bool:
        """Whether PostgreSQL took what it was last given."""
        return self._writer.available

    @property
    def spool_takes(self) -> bool:
        """Whether there is room in the spool and on its disk."""
        return self._spool.has_room

    async def keep(self, job: Job) -> Kept:
        """Return once the callback is on a disk. Raises StoreUnavailable, soon after the deadline at the latest."""
        deadline = asyncio.get_running_loop().time() + self._deadline_s * (1 - _SPOOL_SHARE)
        try:
            return Kept(KeptIn.DATABASE, await self.write(job, partial(self._writer.write, deadline=deadline)))
        except (DatabaseUnavailable, QueueFull, TimeoutError):
            self.spooled.set()
        if not job.ids and self._spool.has_room and not self._spool.has_room_for_rejected:
            self._rejected.drop()
            return Kept(KeptIn.NOWHERE, Receipt(dropped=True))
        await self._put(job.callback)
        self._metrics.spool_writes.inc()
        self.spooled.set()
        return Kept(KeptIn.SPOOL, Receipt())

    async def _put(self, callback: Inbound) -> None:
        """Into the spool. Raises StoreUnavailable.

        What is on the disk when the time is over is kept, even if a late loop has not heard of it before.
        """
        putting = asyncio.ensure_future(self._spool.put(callback))
        try:
            for _ in range(2):
                await asyncio.wait([putting], timeout=self._deadline_s * _SPOOL_SHARE)
                if putting.done():
                    break
            else:
                raise StoreUnavailable("nothing could keep it in time")
            putting.result()
        except SpoolFull as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            putting.cancel()

    async def write(self, job: Job, write: Write) -> Receipt:
        """Write the job, and what the database refuses of it as a rejected payload."""
        receipt = await self.write_rows(job, write)
        await self.reject(job, receipt, write)
        return receipt

    async def write_rows(self, job: Job, write: Write) -> Receipt:
        """Write the job; the caller keeps as rejected what the database refuses of it, or of all pieces of it."""
        return await (write(job) if is_plain(job) else self._write_admitted(job, write))

    async def reject(self, job: Job, receipt: Receipt, write: Write) -> None:
        """Keep the body as rejected where the database refused some of its rows."""
        if receipt.refused:
            reasons = "; ".join(sorted(set(receipt.refused.values())))
            receipt.dropped |= (await self._write_admitted(job.rejection(reasons), write)).dropped

    async def _write_admitted(self, job: Job, write: Write) -> Receipt:
        """Write the job, without what is rejected in it where there is too much of that already."""
        with self._rejected.admitted(job) as admitted:
            receipt = Receipt(dropped=admitted.error != job.error)
            # One after the other, so that the small callbacks of others come between.
            for part in admitted.parts(_PART_ROWS, PART_BYTES):
                receipt.add(await write(part))
        return receipt


def is_plain(job: Job) -> bool:
    """Whether the job is one transaction's worth, with nothing rejected in it."""
    return job.error is None and job.size <= _PART_ROWS and len(job.callback.body) <= PART_BYTES
