"""The spool: callbacks wait on the local disk while PostgreSQL can't take them.

One thread owns the file. Callbacks that arrive during a commit are committed together, as in the writer.
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
        self._changed = threading.Condition()
        self._closing = False
        self._lines = LimitedLog()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> Depth:
        """Contents as of the last commit; no I/O."""
        return self._depth

    @property
    def has_room(self) -> bool:
        """Whether there is room for one more callback."""
        return not self._closing and self._file.has_room()

    @property
    def has_room_for_rejected(self) -> bool:
        """Whether there is room for one more rejected payload, within the rejected payloads' share."""
        return self._waiting_bytes < _MAX_WAITING_BYTES * REJECTED_SHARE and self._file.has_room(REJECTED_SHARE)

    async def put(self, callback: Inbound) -> None:
        """Returns once the callback is on the disk. Raises SpoolFull. If cancelled, it may be there or not."""
        done: Future[None] = Future()
        with self._changed:
            if self._closing or self._waiting_bytes > _MAX_WAITING_BYTES:
                raise SpoolFull("the spool is closed" if self._closing else "too much waits for the disk")
            self._puts.append((callback, done))
            self._waiting_bytes += len(callback.body)
            self._changed.notify()
        await asyncio.wrap_future(done)

    async def oldest(self, limit: int, after: int = 0, exclude: Container[int] = ()) -> list[tuple[int, Inbound]]:
        """The first callbacks after number `after`, in order of arrival, without `exclude`. Raises SpoolError."""
        return await self._call(lambda: self._file.read(limit, after, exclude))

    async def remove(self, numbers: Sequence[int]) -> None:
        """Delete callbacks that are committed in PostgreSQL. Raises SpoolError."""
        await self._call(lambda: self._file.remove(numbers))

    async def close(self) -> None:
        """Commit the waiting callbacks, then close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
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
            except Exception as error:  # noqa: BLE001 - a damaged row must neither end the thread nor block its caller
                done.set_exception(SpoolError(type(error).__name__))

        with self._changed:
            if self._closing:
                raise SpoolError("the spool is closed")
            self._calls.append(run)
            self._changed.notify()
        return await asyncio.wrap_future(done)

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            with self._changed:
                self._closing = True  # also after a bug has ended the thread: later callers get an error at once
            self._file.close()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._puts or self._calls or self._closing)
                puts = [put for put in self._puts if put[1].set_running_or_notify_cancel()]
                calls = list(self._calls)
                closing = self._closing
                self._puts.clear()
                self._calls.clear()
                self._waiting_bytes = 0
            self._commit(puts)
            for call in calls:
                call()
            self._update_depth()
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
        except Exception as error:  # noqa: BLE001 - one that SQLite can't hold must not end the thread
            self._commit_apart(puts, error)
        else:
            self._update_depth()
            for _, done in puts:
                done.set_result(None)

    def _commit_apart(self, puts: Sequence[tuple[Inbound, Future[None]]], error: Exception) -> None:
        """Each by itself: one that SQLite cannot hold costs no other."""
        if len(puts) > 1:
            for put in puts:
                self._commit([put])
            return
        self._lines.error("spool.failed", error=type(error).__name__)
        puts[0][1].set_exception(SpoolFull(f"the spool cannot hold it ({type(error).__name__})"))

    def _update_depth(self) -> None:
        """Read the depth; it stays unchanged while the file can't be read."""
        with suppress(sqlite3.Error):
            self._depth = self._file.depth()
