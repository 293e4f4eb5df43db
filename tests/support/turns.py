"""Turns of processes that would make the same thing: pytest-xdist's workers, and other runs on the same checkout."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """One process at a time is in such a block of the folder. What a process does there must have an end of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".turn", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
