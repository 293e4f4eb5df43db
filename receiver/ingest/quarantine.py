"""The quarantine: spooled callbacks that PostgreSQL does not write within the time-out, although it writes others.

They stay in the spool while later ones pass, and are tried again on a connection of their own, later and in smaller
pieces each time. Rows that cannot be written even one by one are kept as rejected: PostgreSQL gives no reason for a
time-out, so an operator has to investigate.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from receiver.ingest.accept import Observe, parse_inbound
from receiver.report import RowId
from receiver.store import postgres
from receiver.store.durable import PART_BYTES, DurableStore
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.postgres import Connect, Database
from receiver.store.spool import Spool, SpoolError
from receiver.store.writer import PROBE, DatabaseUnavailable
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_DELAYS_S: Final = (2.0, 8.0, 30.0, 120.0, 600.0)
"""Delay before each attempt; a lock on the message's row should be gone by then."""

_SHRINK_FACTOR: Final = 8
"""Each attempt writes pieces of an eighth of the rows of the previous one; the last attempt writes single rows."""

_CONNECT_TIMEOUTS: Final = 3

_TOO_SLOW: Final = "PostgreSQL wrote other reports, but did not write this one within RECEIVER_DATABASE_TIMEOUT_S"

log = get_logger()


class Quarantine:
    """Identifies callbacks by their numbers in the spool. After a restart they begin with the first attempt again."""

    def __init__(
        self,
        url: str,
        store: DurableStore,
        spool: Spool,
        metrics: Metrics,
        observe: Observe,
        *,
        timeout_s: float,
        connect: Connect = postgres.connect,
    ) -> None:
        self._database = Database(url, timeout_s, connect)
        self._connect_timeout_s = timeout_s * _CONNECT_TIMEOUTS
        self._lock = asyncio.Lock()
        self._durable = store
        self._spool = spool
        self._metrics = metrics
        self._observe = observe
        self._waiting: dict[int, asyncio.Task[None]] = {}

    @property
    def numbers(self) -> Collection[int]:
        """Numbers of the quarantined callbacks, which the drain skips."""
        return self._waiting.keys()

    async def write(self, job: Job) -> Receipt:
        """Write on the quarantine's own connection. Raises DatabaseUnavailable."""
        (receipt,) = await self.write_all([job])
        return receipt

    async def write_all(self, jobs: Sequence[Job]) -> list[Receipt]:
        """Write in one transaction on the quarantine's own connection. Raises DatabaseUnavailable."""
        async with self._lock:
            try:
                return await self._database.write(jobs, connect_timeout_s=self._connect_timeout_s)
            except postgres.TRANSIENT as error:
                raise DatabaseUnavailable from error

    def add(self, number: int, job: Job) -> None:
        """Quarantine a callback, and schedule its attempts."""
        log.error("spool.quarantined", request_id=job.callback.request_id, provider=job.provider, rows=job.size)
        self._waiting[number] = task = asyncio.create_task(self._run_attempts(number))
        self._metrics.spool_quarantined.inc()
        task.add_done_callback(lambda _: self._metrics.spool_quarantined.dec())

    async def close(self) -> None:
        """Cancel the attempts and close the connection; the callbacks stay in the spool."""
        waiting = list(self._waiting.values())
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._database.drop()

    async def _run_attempts(self, number: int) -> None:
        try:
            attempt = 0
            while attempt < len(_DELAYS_S):
                await asyncio.sleep(_DELAYS_S[attempt])
                try:
                    if await self._attempt(number, attempt):
                        break
                    attempt += 1
                except DatabaseUnavailable:
                    continue  # an outage says nothing about this callback: the attempt does not count
        except SpoolError as error:
            log.error("spool.failed", error=str(error))
        finally:
            # If it is still in the spool, the drain takes it again.
            del self._waiting[number]
            self._durable.spooled.set()

    async def _attempt(self, number: int, attempt: int) -> bool:
        """Write the callback; whether it has left the spool. Raises DatabaseUnavailable in an outage."""
        found = await self._spool.oldest(1, number - 1)
        if not found or found[0][0] != number:
            return True
        job = (await parse_inbound(found[0][1])).job
        is_last = attempt == len(_DELAYS_S) - 1
        rows = 1 if is_last else max(job.size // _SHRINK_FACTOR ** (attempt + 1), 1)
        receipt, late = await self._in_pieces(job, rows)
        if late and not is_last:
            return False
        receipt.refused |= dict.fromkeys(late, _TOO_SLOW)
        await self._durable.reject(job, receipt, self.write)
        await self._spool.remove([number])
        self._metrics.spool_drained.inc()
        await self._observe(job, Kept(KeptIn.DATABASE, receipt))
        return True

    async def _in_pieces(self, job: Job, rows: int) -> tuple[Receipt, list[RowId]]:
        """Write so many rows at a time. Returns the receipt, and the ids of rows that were not written in time."""
        written = Receipt()
        late: list[RowId] = []
        for piece in job.parts(rows, PART_BYTES):
            try:
                written.add(await self._durable.write_rows(piece, self.write))
            except DatabaseUnavailable:
                if piece.error is not None:  # the rejected payload itself: it cannot be rejected again
                    raise
                await self.write(PROBE)
                late += piece.ids
        return written, late
