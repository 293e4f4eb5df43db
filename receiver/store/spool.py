"""The spool: where callbacks wait on the local disk for the time that PostgreSQL can't take them.

One thread owns the file. What comes while a commit is under way is committed together, as in the writer.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from receiver.inbound import Inbound
from receiver.store.spool_errors import SpoolFull
from receiver.store.spool_file import REJECTED_SHARE, Depth, SpoolFile
from receiver.telemetry.limited_log import LimitedLog

T = TypeVar("T")

_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


class SpoolError(Exception):
    """The spool's file can't be read or changed now."""


class Spool:
    """Owns the file from construction to `close`. Raises SpoolInUse."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._file = SpoolFile(folder, max_bytes)
        self._depth = self._file.depth()
        self._puts: deque[tuple[Inbound, Future[None]]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._waiting_bytes = 0
        self._work = threading.Condition()
        self._closing = False
        self._lines = LimitedLog()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> Depth:
        """As of the last commit; reads nothing."""
        return self._depth

    @property
    def has_room(self) -> bool:
        """Whether one more callback would find room."""
        return not self._closing and self._file.has_room()

    @property
    def has_room_for_rejected(self) -> bool:
        """Whether one more that was not understood may take room from those that were."""
        return self._waiting_bytes < _MAX_WAITING_BYTES * REJECTED_SHARE and self._file.has_room(REJECTED_SHARE)

    async def put(self, callback: Inbound) -> None:
        """Return once the callback is on the disk. Raises SpoolFull. Cancelled, it may be there or not."""
        done: Future[None] = Future()
        with self._work:
            if self._closing or self._waiting_bytes > _MAX_WAITING_BYTES:
                raise SpoolFull("the spool is closed" if self._closing else "too much waits for the disk")
            self._puts.append((callback, done))
            self._waiting_bytes += len(callback.body)
            self._work.notify()
        await asyncio.wrap_future(done)

    async def oldest(self, limit: int, after: int = 0, but: Container[int] = ()) -> list[tuple[int, Inbound]]:
        """The first callbacks in the order of their arrival, with their numbers, but for some. Raises SpoolError."""
        return await self._call(lambda: self._file.read(limit, after, but))

    async def remove(self, numbers: Sequence[int]) -> None:
        """Forget callbacks that are committed in PostgreSQL. Raises SpoolError."""
        await self._call(lambda: self._file.remove(numbers))

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        with self._work:
            self._closing = True
            self._work.notify()
        await asyncio.to_thread(self._thread.join)

    async def _call(self, function: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(function())
            except (sqlite3.Error, OSError) as error:
                done.set_exception(SpoolError(str(error)))
            except Exception as error:  # noqa: BLE001 - a damaged row must not end the thread, nor somebody wait for it
                done.set_exception(SpoolError(type(error).__name__))

        with self._work:
            if self._closing:
                raise SpoolError("the spool is closed")
            self._calls.append(run)
            self._work.notify()
        return await asyncio.wrap_future(done)

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            with self._work:
                self._closing = True  # also where a fault ended the thread: later callers are told, and do not wait
            self._file.close()

    def _serve(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._puts or self._calls or self._closing)
                puts = [put for put in self._puts if put[1].set_running_or_notify_cancel()]
                calls = list(self._calls)
                closing = self._closing
                self._puts.clear()
                self._calls.clear()
                self._waiting_bytes = 0
            self._commit(puts)
            for call in calls:
                call()
            self._look()
            if closing:
                break

    def _commit(self, puts: Sequence[tuple[Inbound, Future[None]]]) -> None:
        if not puts:
            return
        try:
            self._file.append(callback for callback, _ in puts)
        except SpoolFull as error:
            self._lines.error("spool.full", error=str(error), callbacks=len(puts))
            for _, done in puts:
                done.set_exception(error)
            return
        self._look()
        for _, done in puts:
            done.set_result(None)

    def _look(self) -> None:
        """Where the file can't be read now, the depth stays as it was known."""
        with suppress(sqlite3.Error):
            self._depth = self._file.depth()
