"""Group commit: concurrent callbacks are written in one transaction, and each is answered once it is committed.

There is no timer. The next group gathers while a flush is under way, so a lone callback is written at once and a busy
service writes large groups.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from typing import Final

from receiver.inbound import Inbound
from receiver.report import ProviderName
from receiver.store import postgres
from receiver.store.job import Job, Receipt, job_of
from receiver.store.postgres import Connect, Database, summary
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics, set_from

_RECONNECT_TIMEOUTS: Final = 3
"""Connecting may take so many time-outs while the breaker is open."""

_MAX_BODY_BYTES: Final = 2 << 20
"""Most bytes of bodies in one flush: PostgreSQL has to write their rows, several times as large, in time."""

PROBE: Final = job_of(
    callback=Inbound(
        path="",
        body=b"",
        content_type=None,
        received_at=datetime.fromtimestamp(0, UTC),
        remote_addr=None,
        request_id="",
    ),
    provider=ProviderName(""),
)
"""A job without rows: its transaction shows whether PostgreSQL can commit."""

log = get_logger()


class DatabaseUnavailable(Exception):
    """PostgreSQL can't take this now."""


class QueueFull(Exception):
    """The queue of callbacks before PostgreSQL is full."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    size: int
    done: "asyncio.Future[Receipt]"


class Writer:
    """Owns one connection and the queue before it, with a circuit breaker.

    After a failure all waiting callbacks fail at once with DatabaseUnavailable, and so do later ones, until a `retry`
    succeeds: no caller waits for a time-out that another has just met. `max_flush` is the most rows of one commit, but
    for a callback that alone has more.
    """

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        *,
        timeout_s: float,
        max_queue: int,
        max_flush: int,
        connect: Connect = postgres.connect,
    ) -> None:
        self._database = Database(url, timeout_s, connect)
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._max_queue = max_queue
        self.max_flush = max_flush
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._deadlines = _Deadlines()
        self.available = True
        self._last_error: type[BaseException] | None = None
        set_from(metrics.queue_reports, lambda: self._queued)

    async def write(self, job: Job, deadline: float | None = None) -> Receipt:
        """Returns once the job is committed. Raises DatabaseUnavailable or QueueFull; TimeoutError at the deadline.

        `deadline` is loop time. The job may still be committed after it.
        """
        return await self.enqueue(job, deadline)

    def enqueue(self, job: Job, deadline: float | None = None) -> "asyncio.Future[Receipt]":
        """As `write`, of which DatabaseUnavailable and QueueFull are raised at once."""
        if not self.available:
            raise DatabaseUnavailable
        if self._queued and self._queued + job.size > self._max_queue:
            raise QueueFull
        done = self.submit(job)
        if deadline is not None:
            self._deadlines.add(deadline, done)
        return done

    async def retry(self, job: Job) -> Receipt:
        """Write although the breaker is open; a success closes it."""
        return await self.submit(job)

    def submit(self, job: Job) -> "asyncio.Future[Receipt]":
        """As `retry`, without waiting for the result.

        Exempt from the queue's limit, which is for callers that can be refused: spooled callbacks have been accepted,
        and a batch of them larger than the queue would stay in the spool for ever.
        """
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        size = job.size
        self._queue.append(_Waiting(job, size, done))
        self._queued += size
        self._wake.set()
        return done

    async def run(self) -> None:
        """Flush the queue until cancelled."""
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
            self._deadlines.clear()
            self._database.drop()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = body_bytes = 0
        while self._queue:
            waiting = self._queue[0]
            body_bytes += len(waiting.job.callback.body)
            if group and (size + waiting.size > self.max_flush or body_bytes > _MAX_BODY_BYTES):
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
            # With the breaker open no request waits, so a slow network may take longer.
            connect_timeout_s = self._timeout_s * (1 if self.available else _RECONNECT_TIMEOUTS)
            jobs = [waiting.job for waiting in group]
            receipts = await self._database.write(jobs, connect_timeout_s=connect_timeout_s)
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
        self._deadlines.forget_done()

    def _fail(self, group: list[_Waiting], error: BaseException) -> None:
        """Open the breaker, and fail the group and the whole queue, which would only meet the same time-out."""
        self._metrics.breaker_is("open")
        if self.available or type(error) is not self._last_error:
            log.error("database.unavailable", error=type(error).__name__, detail=summary(error))
        self.available = False
        self._last_error = type(error)
        queued = list(self._queue)
        self._queue.clear()
        self._queued = 0
        self._refuse([*group, *queued])

    def _refuse(self, group: list[_Waiting]) -> None:
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_exception(DatabaseUnavailable())


class _Deadlines:
    """Fails futures at their deadlines, with one timer for all: a timer for each costs as much as the queue."""

    def __init__(self) -> None:
        self._numbers = count()
        self._heap: list[tuple[float, int, asyncio.Future[Receipt]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: float, done: "asyncio.Future[Receipt]") -> None:
        """Let it raise TimeoutError at this loop time, if it is not done by then."""
        heappush(self._heap, (deadline, next(self._numbers), done))
        if self._timer is None or deadline < self._timer.when():
            self._wake_at(deadline)

    def forget_done(self) -> None:
        """Forget the earliest as far as they are done; others go when they come first."""
        while self._heap and self._heap[0][2].done():
            heappop(self._heap)

    def clear(self) -> None:
        """Forget all, and the timer."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].done()):
            _, _, done = heappop(self._heap)
            if not done.done():
                done.set_exception(TimeoutError())
        if self._heap:
            self._wake_at(self._heap[0][0])
