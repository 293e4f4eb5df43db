"""One service per data folder: an flock on `receiver.lock`, which the kernel releases with the process."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from receiver.embedded.errors import DataFolderInUse, about
from receiver.embedded.layout import Layout, layout_of

_LOCK_TIMEOUT_S: Final = 0.5
"""Longer than `in_use` of another process holds the lock for its check."""

_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
"""Closed on exec, or an orphaned postgres would keep holding the lock of its dead service."""


@asynccontextmanager
async def locked(layout: Layout) -> AsyncIterator[None]:
    """Hold the data folder's lock. Raises `DataFolderInUse`, OSError.

    The file is never removed: two services could then lock two files of one name.
    """
    fd = os.open(layout.lock, _OPEN | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while not _try_lock(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise DataFolderInUse(_holder(fd))
            await asyncio.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def in_use(data_dir: Path) -> bool:
    """Whether a service runs on this folder. Raises `DataFolderError` if this user may not open the lock."""
    lock = layout_of(data_dir).lock
    with about(data_dir):
        try:
            fd = os.open(lock, _OPEN)
        except FileNotFoundError:
            return False
    try:
        return not _try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> int | None:
    """The pid in the lock file; None in the instant before its holder writes it."""
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
