"""Group commit: what concurrent callbacks bring is written together, and each is answered when it is committed.

There is no timer. While one flush is under way the next group gathers by itself, so that a lone callback is written at
once and a busy service writes large groups.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from receiver.callback import Callback
from receiver.logs import get_logger
from receiver.metrics import Metrics, follow
from receiver.report import ProviderName
from receiver.store import postgres
from receiver.store.job import Job, Receipt

_RETRIES_AT_ONCE: Final = 3

_RECONNECT_PATIENCE: Final = 3
"""Time-outs that connecting may take while the breaker is open."""

_MAX_BODY_BYTES: Final = 16 << 20
"""Of bodies in one flush: as its rows they take several times that much memory, here and in PostgreSQL."""

PROBE: Final = Job(
    callback=Callback(
        path="",
        body=b"",
        content_type=None,
        received_at=datetime.fromtimestamp(0, UTC),
        remote_addr=None,
        request_id="",
    ),
    provider=ProviderName(""),
)
"""Nothing to store: its transaction tells whether PostgreSQL answers."""

log = get_logger()


class DatabaseUnavailable(Exception):  # noqa: N818 - a state, not a fault
    """PostgreSQL can't take this now."""


class QueueFull(Exception):  # noqa: N818 - a state, not a fault
    """More callbacks wait for PostgreSQL than there is room for."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    size: int
    done: "asyncio.Future[Receipt]"


class Writer:
    """Owns one connection and the queue before it.

    After a failure every callback that waits is refused at once with DatabaseUnavailable, and so are later ones, until
    `retry` has got one written: nobody waits twice for the same time-out.
    """

    def __init__(self, url: str, metrics: Metrics, *, timeout_s: float, max_queue: int, max_flush: int) -> None:
        self._url = url
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._max_queue = max_queue
        self._max_flush = max_flush
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._session: postgres.Session | None = None
        self.available = True
        self._trouble: type[BaseException] | None = None
        follow(metrics.queue_reports, lambda: self._queued)

    async def write(self, job: Job, deadline: float | None = None) -> Receipt:
        """Return once the job is committed. Raises DatabaseUnavailable or QueueFull; TimeoutError at the deadline.

        `deadline` is by the event loop's clock. The job may still be committed after it.
        """
        if not self.available:
            raise DatabaseUnavailable
        if self._queued and self._queued + job.size > self._max_queue:
            raise QueueFull
        done = self.submit(job)
        if deadline is None:
            return await done
        # A timer on the future itself: `asyncio.timeout`, which has to cancel a task, costs three times as much.
        timer = asyncio.get_running_loop().call_at(deadline, _expire, done)
        try:
            return await done
        finally:
            timer.cancel()

    async def retry(self, job: Job) -> Receipt:
        """Write although PostgreSQL is thought to be away: how it is found to be back."""
        return await self.submit(job)

    def submit(self, job: Job) -> "asyncio.Future[Receipt]":
        """The same, without waiting for it.

        What is spooled has been accepted: the queue's limit, which is for callers who can be sent away, would keep a
        batch of it that is larger than the queue in the spool for ever.
        """
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        size = job.size
        self._queue.append(_Waiting(job, size, done))
        self._queued += size
        self._wake.set()
        return done

    async def run(self) -> None:
        """Flush whatever waits, for ever; cancel to stop."""
        try:
            while True:
                await self._wake.wait()
                group = self._next_group()
                if group:
                    await self._flush(group)
                else:
                    self._wake.clear()
        finally:
            self._refuse(list(self._queue))
            self._queue.clear()
            self._drop_connection()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = body_bytes = 0
        while self._queue:
            waiting = self._queue[0]
            body_bytes += len(waiting.job.callback.body)
            if group and (size + waiting.size > self._max_flush or body_bytes > _MAX_BODY_BYTES):
                break
            size += waiting.size
            group.append(self._queue.popleft())
        self._queued -= size
        return group

    async def _flush(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        if not self.available:
            self._metrics.breaker_is("half_open")
        try:
            receipts = await self._write_all([waiting.job for waiting in group])
        except postgres.TRANSIENT as error:
            self._fail(group, error)
            return
        except BaseException:
            self._refuse(group)
            raise
        self._metrics.flushed(sum([waiting.size for waiting in group]), time.perf_counter() - started)
        self._succeed(group, receipts)

    def _succeed(self, group: list[_Waiting], receipts: Sequence[Receipt]) -> None:
        if not self.available:
            self.available = True
            self._metrics.breaker_is("closed")
            log.info("database.available")
        for waiting, receipt in zip(group, receipts, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(receipt)

    def _fail(self, group: list[_Waiting], error: BaseException) -> None:
        """The group and all who wait behind it are refused: the time-out was long enough for them too."""
        self._drop_connection()
        self._metrics.breaker_is("open")
        if self.available or type(error) is not self._trouble:
            log.error("database.unavailable", error=type(error).__name__, detail=_summary(error))
        self.available = False
        self._trouble = type(error)
        behind = list(self._queue)
        self._queue.clear()
        self._queued = 0
        self._refuse([*group, *behind])

    def _refuse(self, group: list[_Waiting]) -> None:
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_exception(DatabaseUnavailable())

    async def _write_all(self, jobs: list[Job]) -> list[Receipt]:
        """One transaction for all; where a row in it is poison, the halves apart."""
        try:
            receipt = await self._transaction(jobs)
        except postgres.POISON as error:
            return await self._isolate(jobs, error)
        except postgres.TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours with one row must not stop the writer
            log.error("writer.failed", error=type(error).__name__, reports=len(jobs))  # noqa: TRY400 - may quote rows
            self._drop_connection()
            return await self._isolate(jobs, error)
        return _divide(jobs, receipt)

    async def _isolate(self, jobs: list[Job], error: Exception) -> list[Receipt]:
        """The halves apart, down to the row that the database refuses: that is the caller's to keep as rejected."""
        if len(jobs) > 1:
            middle = len(jobs) // 2
            return [*await self._write_all(jobs[:middle]), *await self._write_all(jobs[middle:])]
        pieces = jobs[0].pieces()
        whole = Receipt()
        if len(pieces) > 1:
            for receipt in await self._write_all(pieces):
                whole.add(receipt)
        else:
            ids = jobs[0].ids
            whole.refused = dict.fromkeys(ids, f"the database refuses it: {_summary(error)}")
            if not ids:
                log.error("payload.lost", request_id=jobs[0].callback.request_id, detail=_summary(error))
        return [whole]

    async def _transaction(self, jobs: Sequence[Job]) -> Receipt:
        for _ in range(_RETRIES_AT_ONCE):
            session = await self._connected()
            try:
                # Each transaction's own deadline: to find many poisoned rows takes many, and all of it must come to an
                # end. Apart from the connecting, or a slow network that serves the one would never get both.
                async with asyncio.timeout(self._timeout_s):
                    return await postgres.write(session, jobs, self._timeout_s)
            except postgres.PartitionMissing:
                log.warning("partitions.missing")
                await postgres.create_partitions(session, jobs)
            except postgres.RETRY_AT_ONCE:
                log.info("database.retry")
        raise asyncpg.InterfaceError("retries did not help")

    async def _connected(self) -> postgres.Session:
        if self._session is None or self._session.connection.is_closed():
            # Once nobody waits for an answer, a slow network may take its time.
            patience_s = self._timeout_s * (1 if self.available else _RECONNECT_PATIENCE)
            self._session = await postgres.connect(self._url, self._timeout_s, patience_s)
        return self._session

    def _drop_connection(self) -> None:
        """Without a farewell, for which a hung server would let us wait."""
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None


def _expire(done: "asyncio.Future[Receipt]") -> None:
    if not done.done():
        done.set_exception(TimeoutError())


def _divide(jobs: Sequence[Job], receipt: Receipt) -> list[Receipt]:
    """Each job's share of the receipt. Of two jobs with the same report, the first one stored it."""
    receipts = []
    left = receipt.stored
    for job in jobs:
        ids = job.ids
        stored = left.intersection(ids)
        left -= stored
        refused = {i: receipt.refused[i] for i in ids if i in receipt.refused} if receipt.refused else {}
        receipts.append(Receipt(stored, refused))
    return receipts


def _summary(error: BaseException) -> str:
    """The error's first line: the rest may quote values."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
