"""The workers of a service: started, watched, replaced one after the other, and stopped."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from receiver.errors import OperatorError
from receiver.settings import Settings
from receiver.storage import background
from receiver.telemetry.logs import get_logger
from receiver.workers import addition, process
from receiver.workers.messages import Assignment, Families
from receiver.workers.process import WorkerProcess
from receiver.workers.slots import SETTLED_S, lowest_free, pause_s

_START_S: Final = 60.0
_HURRIED_S: Final = 3.0
_SPARE_S: Final = 5.0

log = get_logger()


class WorkerNotStarted(OperatorError):
    """A worker ended before it took callbacks, or did not get that far in time."""


class Team:
    """`wanted` positions, each with one worker at a time."""

    def __init__(
        self, settings: Settings, sockets: Sequence[socket.socket], stop: asyncio.Event, lock: int | None = None
    ) -> None:
        """`lock` is a descriptor that the workers inherit and keep open."""
        self.wanted = settings.workers
        self.lasting: Families = []
        """The metrics of workers that are gone that still count."""
        self._settings = settings
        self._sockets = sockets
        self._stop = stop
        self._lock = lock
        self._stop_s = settings.drain_delay_s + 2 * settings.shutdown_timeout_s + _SPARE_S
        self._alive: dict[int, WorkerProcess] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._at: dict[int, WorkerProcess] = {}
        self._locks = [asyncio.Lock() for _ in range(self.wanted)]
        self._replacement = asyncio.Event()
        self._reserved: set[int] = set()
        self._url = ""
        self._left: Callable[[], Collection[int]] = tuple
        self._on_end: Callable[[], object] = lambda: None
        self._on_death: Callable[[], object] = lambda: None

    @property
    def alive(self) -> list[WorkerProcess]:
        """All workers whose processes have not ended."""
        return list(self._alive.values())

    @property
    def serving(self) -> int:
        """Positions whose worker takes callbacks."""
        return sum(worker.takes_callbacks for worker in self._at.values())

    def slots(self) -> Collection[int]:
        """Slots of the living workers."""
        return self._alive.keys()

    def replace(self) -> None:
        """Replace every worker by a new one, one after the other."""
        self._replacement.set()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each worker that serves: before that, it would end it."""
        for worker in self._alive.values():
            if worker.serving.is_set():
                worker.send(number)

    @asynccontextmanager
    async def working(
        self,
        url: str,
        left: Callable[[], Collection[int]],
        on_end: Callable[[], object],
        on_death: Callable[[], object],
    ) -> AsyncIterator[None]:
        """All workers at work while the block runs. Raises WorkerNotStarted.

        `left` are the slots with a spool that is still drained; `on_end` is called after a worker's end, `on_death`
        after one that nobody asked for.
        """
        self._url, self._left, self._on_end, self._on_death = url, left, on_end, on_death
        try:
            workers = await asyncio.gather(*(self._started() for _ in range(self.wanted)))
            self._at = dict(enumerate(workers))
            async with background(self._stop, self._replacing(), *map(self._keep, self._at)):
                yield
        finally:
            await self._stop_all()

    async def _started(self) -> WorkerProcess:
        """A new worker that takes callbacks. Raises WorkerNotStarted."""
        slot = lowest_free({*self._alive, *self._left(), *self._reserved})
        self._reserved.add(slot)
        try:
            worker = await self._launched(slot)
        finally:
            self._reserved.discard(slot)
        waits = [asyncio.create_task(event.wait()) for event in (worker.serving, worker.ended)]
        try:
            await asyncio.wait(waits, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if worker.takes_callbacks:
            log.info("worker.started", worker=slot, pid=worker.process.pid)
            return worker
        await self._end([worker], signal.SIGKILL, 0)
        raise WorkerNotStarted(worker.error or f"worker {slot} did not start: the log or stderr says why")

    async def _launched(self, slot: int) -> WorkerProcess:
        given = Assignment(
            slot=slot,
            workers=self.wanted,
            database_url=self._url,
            database_setting=self._settings.database_setting,
            data_dir=self._settings.data_dir,
            sockets=[one.fileno() for one in self._sockets],
        )
        worker = await process.start(given, [*given.sockets, *([] if self._lock is None else [self._lock])])
        self._alive[slot] = worker
        life = asyncio.create_task(self._live(worker))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return worker

    async def _live(self, worker: WorkerProcess) -> None:
        """From its start to its end; then its counters are those of the whole, and its spool is drained."""
        try:
            await worker.run()
        finally:
            if worker.state is not None:
                self.lasting = addition.added([self.lasting, addition.lasting(worker.state.metrics)])
            del self._alive[worker.slot]
            worker.ended.set()
            self._on_end()

    async def _keep(self, position: int) -> None:
        """Start another worker whenever this position's has ended by itself, and go on trying."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            worker, began = self._at[position], clock()
            await worker.ended.wait()
            async with self._locks[position]:
                if self._at[position] is not worker:
                    continue  # it was replaced
                status = worker.process.returncode
                log.error("worker.died", worker=worker.slot, pid=worker.process.pid, status=status)
                self._on_death()
                failures = 1 if clock() - began > SETTLED_S else failures + 1
                while self._at[position] is worker:
                    await asyncio.sleep(pause_s(failures))
                    try:
                        self._at[position] = await self._started()
                    except WorkerNotStarted as error:
                        failures += 1
                        log.error("worker.not_started", error=str(error), attempt=failures)

    async def _replacing(self) -> None:
        while True:
            await self._replacement.wait()
            self._replacement.clear()
            log.info("workers.replacing")
            try:
                for position in self._at:
                    await self._replace_one(position)
            except WorkerNotStarted as error:
                log.error("workers.not_replaced", error=str(error))
            else:
                log.info("workers.replaced")

    async def _replace_one(self, position: int) -> None:
        """The new one serves before the old one goes. Raises WorkerNotStarted, and then the old one stays."""
        async with self._locks[position]:
            old = self._at[position]
            self._at[position] = await self._started()
        await self._end([old], signal.SIGTERM, self._stop_s)

    async def _stop_all(self) -> None:
        """Stop them in good order; if cancelled, cut that short. None is left when this returns."""
        try:
            await self._end(self.alive, signal.SIGTERM, self._stop_s)
        except asyncio.CancelledError:
            await self._end(self.alive, signal.SIGINT, _HURRIED_S)
            raise
        finally:
            for worker in self.alive:
                worker.send(signal.SIGKILL)
            await asyncio.gather(*self._lives, return_exceptions=True)

    async def _end(self, workers: Sequence[WorkerProcess], number: signal.Signals, within_s: float) -> None:
        """Send them the signal and wait for their end; kill those that take longer."""
        for worker in workers:
            worker.send(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s or None):
                await asyncio.gather(*(worker.ended.wait() for worker in workers))
        for late in (worker for worker in workers if not worker.ended.is_set()):
            log.error("worker.killed", worker=late.slot, pid=late.process.pid, after_s=within_s)
            late.send(signal.SIGKILL)
            await late.ended.wait()
