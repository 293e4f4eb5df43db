"""The workers of a supervisor that was killed: they hold a lock for as long as one of them lives."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from receiver.store.spool_errors import SpoolUnusable
from receiver.store.spool_folders import is_locked, main_folder

_WAIT_S: Final = 15.0
"""Longer than a worker lives without its supervisor."""

_POLL_S: Final = 0.05


@asynccontextmanager
async def former_workers_gone(data_dir: Path) -> AsyncIterator[int]:
    """Wait for their end; the descriptor, for new workers to inherit, that keeps the lock. Raises SpoolUnusable.

    An flock belongs to all processes that inherit its descriptor, whatever they have come to do yet.
    """
    folder = main_folder(data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "workers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolUnusable(folder, error) from error
    try:
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        while not _locked(descriptor) and asyncio.get_running_loop().time() < deadline:
            if is_locked(folder):
                break  # another receiver runs there: the error about its spool or its port says so
            await asyncio.sleep(_POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
