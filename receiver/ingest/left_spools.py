"""Drains the spools of workers that are gone: that crashed, were replaced, or are fewer since a restart."""

import asyncio
from collections.abc import Callable, Container
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from receiver.store import spool_folders
from receiver.store.spool import Spool
from receiver.store.spool_errors import SpoolInUse, SpoolUnusable
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.logs import get_logger

_LOOK_S: Final = 2.0
_POLL_S: Final = 0.1

log = get_logger()

Draining = Callable[[Spool], AbstractAsyncContextManager[None]]
"""Drains a spool while the block runs."""


class LeftSpools:
    """Runs in the process that has the service's own spool open. `in_use` are the slots of living workers."""

    def __init__(
        self, data_dir: Path, max_bytes: int, draining: Draining, in_use: Callable[[], Container[int]]
    ) -> None:
        self._data_dir = data_dir
        self._max_bytes = max_bytes
        self._draining = draining
        self._in_use = in_use
        self._open: dict[int, Spool] = {}
        self._taken: set[int] = set()
        self._lines = LimitedLog()
        self.look = asyncio.Event()
        """Requests a look at the folders before the next one is due."""

    @property
    def spools(self) -> tuple[Spool, ...]:
        """Those that are being drained."""
        return tuple(self._open.values())

    @property
    def slots(self) -> set[int]:
        """Slots whose folders are no living worker's. None is free for a new worker until it is drained."""
        in_use = self._in_use()
        return self._taken | {slot for slot in spool_folders.worker_folders(self._data_dir) if slot not in in_use}

    async def run(self) -> None:
        """Look and drain until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.look.clear()
                for slot in self.slots - self._taken:
                    self._taken.add(slot)
                    tasks.create_task(self._drain(slot))
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self.look.wait()
                except TimeoutError:
                    continue

    async def _drain(self, slot: int) -> None:
        """Drain the slot's spool and remove it. One that cannot be opened is tried again at the next look."""
        folder = spool_folders.worker_folder(self._data_dir, slot)
        try:
            spool = Spool(folder, self._max_bytes)
        except SpoolInUse:  # a worker of a killed service is still finishing
            self._taken.discard(slot)
            return
        except SpoolUnusable as error:
            self._lines.error("spool.failed", error=str(error))
            self._taken.discard(slot)
            return
        self._open[slot] = spool
        try:
            await self._until_empty(slot, spool)
        finally:
            await spool.close()
            del self._open[slot]
        spool_folders.remove(folder)
        self._taken.discard(slot)

    async def _until_empty(self, slot: int, spool: Spool) -> None:
        if not (waiting := spool.depth.callbacks):
            return
        log.warning("spool.left", slot=slot, callbacks=waiting)
        async with self._draining(spool):
            while spool.depth.callbacks:
                await asyncio.sleep(_POLL_S)
