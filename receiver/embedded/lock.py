"""One service a data folder: an flock on `receiver.lock`, which the kernel drops with the process."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from receiver.embedded.errors import DataFolderError, DataFolderInUse
from receiver.embedded.layout import Layout, layout_of

_PATIENCE_S: Final = 0.5
"""Longer than `in_use` of another process holds the lock while it looks."""

_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
"""Closed on exec, or an orphaned postgres would go on holding the lock for its dead service."""


@asynccontextmanager
async def held(layout: Layout) -> AsyncIterator[None]:
    """Hold the data folder. Raises `DataFolderInUse`, `DataFolderError`.

    The file stays when the lock goes: to remove it would let two services lock two files of one name.
    """
    try:
        fd = os.open(layout.lock, _OPEN | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataFolderError(f"The data folder {layout.folder} cannot be used: {error}.") from error
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _take(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise DataFolderInUse(layout.folder, _holder(fd))
            await asyncio.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def in_use(data_dir: Path) -> bool:
    """Whether a service runs on this folder. Raises `DataFolderError` where this user may not know."""
    lock = layout_of(data_dir).lock
    try:
        fd = os.open(lock, _OPEN)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise DataFolderError(
            f"The data folder {lock.parent} belongs to another user: run this command as the service's user."
        ) from error
    try:
        return not _take(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _take(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> int | None:
    """The pid that the holder wrote; None in the instant before it has."""
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
