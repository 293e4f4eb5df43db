"""Keeps callbacks in PostgreSQL, else in the spool, else not at all, within a deadline."""

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
"""Share of the answer's deadline that is reserved for the spool. It gets that much even if the event loop was late."""

_PART_ROWS: Final = 500
PART_BYTES: Final = 512 * 1024
"""Most rows, and bytes of rows, of one callback in one transaction: its duration must not depend on the callback's
size."""

_REJECTED_BYTES: Final = 1 << 30
"""Default quota of rejected payloads."""

Write = Callable[[Job], Awaitable[Receipt]]


class StoreUnavailable(Exception):
    """Neither PostgreSQL nor the spool can take this callback now. `answer_context` is for the platform's answer."""

    answer_context: Mapping[str, object] = MappingProxyType({})


class DurableStore:
    """The writer, and the spool behind it. `spooled` is set whenever the drain has work."""

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
        """Whether the last write to PostgreSQL succeeded."""
        return self._writer.available

    @property
    def spool_takes(self) -> bool:
        """Whether there is room in the spool and on its disk."""
        return self._spool.has_room

    async def keep(self, job: Job) -> Kept:
        """Returns once the callback is on a disk. Raises StoreUnavailable, soon after the deadline at the latest."""
        deadline = asyncio.get_running_loop().time() + self._deadline_s * (1 - _SPOOL_SHARE)
        try:
            if is_plain(job):  # nearly every one: as `write`, without a coroutine for each of its steps
                receipt = await self._writer.enqueue(job, deadline)
                if receipt.refused:
                    await self.reject(job, receipt, partial(self._writer.write, deadline=deadline))
            else:
                receipt = await self.write(job, partial(self._writer.write, deadline=deadline))
            return Kept(KeptIn.DATABASE, receipt)
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
        """Write to the spool. Raises StoreUnavailable.

        The loop may be late: a callback that is on the disk when the time is over counts as kept.
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
        """Write the job; if the database refuses some of its rows, its body also as a rejected payload."""
        receipt = await self.write_rows(job, write)
        if receipt.refused:
            await self.reject(job, receipt, write)
        return receipt

    async def write_rows(self, job: Job, write: Write) -> Receipt:
        """Write the job; the caller keeps refused rows as rejected."""
        return await (write(job) if is_plain(job) else self._write_admitted(job, write))

    async def reject(self, job: Job, receipt: Receipt, write: Write) -> None:
        """Keep the body as a rejected payload if the database refused some of its rows."""
        if receipt.refused:
            reasons = "; ".join(sorted(set(receipt.refused.values())))
            receipt.dropped |= (await self._write_admitted(job.rejection(reasons), write)).dropped

    async def _write_admitted(self, job: Job, write: Write) -> Receipt:
        """Write the job, without its rejected payload if that quota is used up."""
        with self._rejected.admitted(job) as admitted:
            receipt = Receipt(dropped=admitted.error != job.error)
            # One after the other, so that small callbacks can be written in between.
            for part in admitted.parts(_PART_ROWS, PART_BYTES):
                receipt.add(await write(part))
        return receipt


def is_plain(job: Job) -> bool:
    """Whether the job is one transaction's worth, with nothing rejected in it."""
    return job.error is None and job.size <= _PART_ROWS and len(job.callback.body) <= PART_BYTES
