"""The quarantine: spooled callbacks that PostgreSQL does not write within the time-out, although it writes others.

They stay in the spool, those behind them pass, and they are tried again on a connection of their own: later, and in
smaller pieces each time. What is not written then, row by row, is kept as rejected: a time-out says nothing about what
is wrong with a row, or PostgreSQL would have refused it, and somebody has to look.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from receiver.ingest.observe import observe
from receiver.ingest.understand import parse_inbound
from receiver.report import RowId
from receiver.store import postgres
from receiver.store.durable import PART_BYTES, DurableStore
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.store.postgres import Connect, Database
from receiver.store.spool import Spool, SpoolError
from receiver.store.writer import PROBE, DatabaseUnavailable
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics, set_from

_DELAYS_S: Final = (2.0, 8.0, 30.0, 120.0, 600.0)
"""Before each attempt; somebody who holds a lock on the message's row has let it go by then."""

_SMALLER: Final = 8
"""The n-th attempt writes pieces of an eighth of the rows of those before it; the last one single rows."""

_CONNECT_TIMEOUTS: Final = 3

_TOO_SLOW: Final = "PostgreSQL wrote other reports, but did not write this one within RECEIVER_DATABASE_TIMEOUT_S"

log = get_logger()


class Quarantine:
    """Knows the callbacks in it by their numbers in the spool. After a restart they are tried from the start."""

    def __init__(
        self,
        url: str,
        store: DurableStore,
        spool: Spool,
        metrics: Metrics,
        *,
        timeout_s: float,
        connect: Connect = postgres.connect,
    ) -> None:
        self._database = Database(url, timeout_s, connect)
        self._connect_timeout_s = timeout_s * _CONNECT_TIMEOUTS
        self._using = asyncio.Lock()
        self._durable = store
        self._spool = spool
        self._metrics = metrics
        self._waiting: dict[int, asyncio.Task[None]] = {}
        set_from(metrics.spool_quarantined, lambda: len(self._waiting))

    @property
    def numbers(self) -> Collection[int]:
        """The drain passes them by."""
        return self._waiting.keys()

    async def write(self, job: Job) -> Receipt:
        """Write on the connection that no live callback waits for. Raises DatabaseUnavailable."""
        async with self._using:
            try:
                (receipt,) = await self._database.write([job], connect_timeout_s=self._connect_timeout_s)
            except postgres.TRANSIENT as error:
                raise DatabaseUnavailable from error
        return receipt

    def add(self, number: int, job: Job) -> None:
        """Try it again later."""
        log.error("spool.quarantined", request_id=job.callback.request_id, provider=job.provider, rows=job.size)
        self._waiting[number] = asyncio.create_task(self._try(number))

    async def close(self) -> None:
        """Let go of the connection; what is in the spool stays there."""
        waiting = list(self._waiting.values())
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._database.drop()

    async def _try(self, number: int) -> None:
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
            log.error("spool.failed", error=str(error))  # noqa: TRY400 - a state of the disk, no bug
        finally:
            # Whatever came of it: if it is still in the spool, it is the drain's again.
            del self._waiting[number]
            self._durable.spooled.set()

    async def _attempt(self, number: int, attempt: int) -> bool:
        """Whether it is out of the spool. Raises DatabaseUnavailable where PostgreSQL is away."""
        found = await self._spool.oldest(1, number - 1)
        if not found or found[0][0] != number:
            return True
        job = (await parse_inbound(found[0][1])).job
        is_last = attempt == len(_DELAYS_S) - 1
        rows = 1 if is_last else max(job.size // _SMALLER ** (attempt + 1), 1)
        receipt, late = await self._in_pieces(job, rows)
        if late and not is_last:
            return False
        receipt.refused |= dict.fromkeys(late, _TOO_SLOW)
        await self._durable.reject(job, receipt, self.write)
        await self._spool.remove([number])
        self._metrics.spool_drained.inc()
        await observe(job, Kept(KeptIn.DATABASE, receipt), self._metrics)
        return True

    async def _in_pieces(self, job: Job, rows: int) -> tuple[Receipt, list[RowId]]:
        """What was written of it, so many rows at a time, and which rows were not written in time."""
        written = Receipt()
        late: list[RowId] = []
        for piece in job.parts(rows, PART_BYTES):
            try:
                written.add(await self._durable.write_rows(piece, self.write))
            except DatabaseUnavailable:
                if piece.error is not None:  # the body itself: it has nowhere else to go
                    raise
                await self.write(PROBE)
                late += piece.ids
        return written, late
