"""The folders of spools in the data folder: `spool/` of the service, and in it one for each of its workers.

A single process uses `spool/` alone. The folder of a worker is named by its slot, a number that is free for the next
worker once this one has ended; `receiver.ingest.left_spools` drains the folders that no worker uses.
"""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from receiver.store.spool_open import FILE_NAME, LOCK_NAME

_WORKER: Final = re.compile(r"worker-([1-9]\d{0,5})")


def main_folder(data_dir: Path) -> Path:
    """The folder of the service itself; its lock stands for the data folder as a whole."""
    return data_dir / "spool"


def worker_folder(data_dir: Path, slot: int) -> Path:
    """The folder of the worker in this slot, from 1."""
    return main_folder(data_dir) / f"worker-{slot}"


def worker_folders(data_dir: Path) -> dict[int, Path]:
    """The workers' folders with a spool in them, by slot."""
    try:
        names = [path.name for path in main_folder(data_dir).iterdir()]
    except FileNotFoundError:
        return {}
    slots = [int(found[1]) for name in names if (found := _WORKER.fullmatch(name))]
    return {slot: folder for slot in sorted(slots) if ((folder := worker_folder(data_dir, slot)) / FILE_NAME).exists()}


def is_locked(folder: Path) -> bool:
    """Whether a process has the spool in this folder open."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(folder: Path) -> None:
    """Remove the empty and closed spool of a worker; the folder stays if something else is in it."""
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LOCK_NAME):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
