"""Opening the spool's file: one process at a time, with the columns of this version, and a broken file set aside."""

import fcntl
import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from receiver.store.spool_errors import SpoolInUse
from receiver.telemetry.logs import get_logger

FILE_NAME: Final = "spool.sqlite"
LOCK_NAME: Final = "spool.lock"
PAGE_BYTES: Final = 4096

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS callback (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path         TEXT NOT NULL,
    body         BLOB NOT NULL,
    content_type TEXT,
    received_us  INTEGER NOT NULL,
    remote_addr  TEXT,
    request_id   TEXT NOT NULL,
    correlation  TEXT,
    refusal      TEXT
)
"""
_ADDED_COLUMNS: Final = ("correlation", "refusal")
"""Columns that a file of an older version lacks; it may hold callbacks."""

log = get_logger()


def lock(folder: Path) -> int:
    """Lock the folder; returns the descriptor that holds the lock. Raises SpoolInUse."""
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolInUse(folder) from None
    return descriptor


def open_or_replace(folder: Path, max_bytes: int) -> tuple[sqlite3.Connection, int]:
    """The file's connection, and its number of callbacks. A file that SQLite can't read is set aside."""
    try:
        db = _open(folder / FILE_NAME, max_bytes)
        return db, _count(db)
    except sqlite3.OperationalError:  # an error of the machine: the file may be intact and hold callbacks
        raise
    except sqlite3.DatabaseError as error:
        return _replace_broken(folder, max_bytes, error), 0


def _open(file: Path, max_bytes: int) -> sqlite3.Connection:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(_SCHEMA)
        _add_missing_columns(db)
        db.execute(f"PRAGMA max_page_count={max(max_bytes // PAGE_BYTES, 8)}")
        _sync_folder(file.parent)
    except BaseException:
        db.close()
        raise
    return db


def _add_missing_columns(db: sqlite3.Connection) -> None:
    known = {row[1] for row in db.execute("PRAGMA table_info(callback)")}
    for name in _ADDED_COLUMNS:
        if name not in known:
            db.execute(f"ALTER TABLE callback ADD COLUMN {name} TEXT")


def _replace_broken(folder: Path, max_bytes: int, error: sqlite3.DatabaseError) -> sqlite3.Connection:
    """Rename a file that SQLite can't read, for inspection, and open a new one: the service has to start."""
    aside = folder / f"{FILE_NAME}.broken-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    log.error("spool.broken", error=str(error), kept_as=aside.name)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            (folder / f"{FILE_NAME}{suffix}").rename(f"{aside}{suffix}")
    return _open(folder / FILE_NAME, max_bytes)


def _sync_folder(folder: Path) -> None:
    """Fsync the folder: the new file's name must survive a power cut as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _count(db: sqlite3.Connection) -> int:
    count: int = db.execute("SELECT count(*) FROM callback").fetchone()[0]
    return count
