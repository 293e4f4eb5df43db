"""The spool's file: callbacks in SQLite, fsynced, with a single connection.

WAL mode with `synchronous=FULL`: COMMIT returns after fdatasync of the log. SQLite before 3.51.3 can corrupt a WAL that
has two writers, so a lock on a file beside it keeps other processes out. No threads and no asyncio in here.
"""

import base64
import fcntl
import os
import sqlite3
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from receiver.inbound import Inbound
from receiver.providers import url_path
from receiver.store.spool_errors import SpoolFull, SpoolInUse, SpoolUnusable
from receiver.telemetry.logs import get_logger
from receiver.telemetry.visible import visible_json_line

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""Disk space that the spool leaves free, above all for an embedded PostgreSQL that has to start again."""

REJECTED_SHARE: Final = 0.25
"""Share of the spool that rejected payloads may fill: anybody can send them, and reports need the rest."""

FILE_NAME: Final = "spool.sqlite"
_PAGE_BYTES: Final = 4096
_READ_BYTES: Final = 256 * 1024
"""Most bytes of bodies that are read at once: to parse more would delay live callbacks."""

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
"""A file of an older version, perhaps with callbacks in it, has not got them."""

_INSERT: Final = """
INSERT INTO callback (path, body, content_type, received_us, remote_addr, request_id, correlation, refusal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT: Final = """
SELECT id, path, body, content_type, received_us, remote_addr, request_id, correlation, refusal
FROM callback WHERE id > ? ORDER BY id
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Depth:
    """Contents of the spool: number of callbacks, arrival of the oldest, size of the file."""

    callbacks: int
    oldest: datetime | None
    file_bytes: int

    @property
    def age_s(self) -> float:
        """Seconds since the arrival of the oldest; 0 if the spool is empty."""
        return max((datetime.now(UTC) - self.oldest).total_seconds(), 0.0) if self.oldest else 0.0

    def as_dict(self) -> dict[str, object]:
        """As JSON types."""
        oldest = self.oldest and self.oldest.isoformat()
        return {"callbacks": self.callbacks, "oldest": oldest, "file_bytes": self.file_bytes}


class SpoolFile:
    """`folder`, in the data folder, is created if need be. Raises SpoolInUse, SpoolUnusable."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._used_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(folder)
            self._db, self._callbacks = _open_or_replace(folder, max_bytes)
        except (OSError, sqlite3.Error) as error:
            raise SpoolUnusable(folder, error) from error

    def depth(self) -> Depth:
        """The current depth, in constant time."""
        first = self._db.execute("SELECT received_us FROM callback ORDER BY id LIMIT 1").fetchone()
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        self._used_bytes = (pages - free) * _PAGE_BYTES
        return Depth(self._callbacks, _time(first[0]) if first else None, pages * _PAGE_BYTES)

    def has_room(self, share: float = 1.0) -> bool:
        """Whether the file may grow, within this share of its bound and of the disk. Thread-safe: no SQLite in it."""
        try:
            spare = _free_bytes(self._folder) - MIN_FREE_BYTES
        except OSError:  # the disk is gone
            return False
        return spare >= 0 and self._used_bytes < share * min(self._max_bytes, self._used_bytes + spare + _PAGE_BYTES)

    def append(self, callbacks: Iterable[Inbound]) -> None:
        """Add all or none; they are on the disk when this returns. Raises SpoolFull."""
        rows = [_row(callback) for callback in callbacks]
        try:
            if _free_bytes(self._folder) < MIN_FREE_BYTES:
                raise SpoolFull(f"less than {MIN_FREE_BYTES >> 20} MiB are free on the disk")
            with self._transaction():
                self._db.executemany(_INSERT, rows)
        except (sqlite3.Error, OSError) as error:
            raise SpoolFull(str(error)) from error
        self._callbacks += len(rows)

    def read(self, limit: int, after: int = 0, exclude: Container[int] = ()) -> list[tuple[int, Inbound]]:
        """The first callbacks after number `after`, in order of arrival, without `exclude`; fewer if they are large."""
        found: list[tuple[int, Inbound]] = []
        size = 0
        for number, *columns in self._db.execute(_SELECT, (after,)):
            if number in exclude:
                continue
            callback = _callback(*columns)
            found.append((number, callback))
            size += len(callback.body)
            if len(found) >= limit or size >= _READ_BYTES:
                break
        return found

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete callbacks; an empty file shrinks."""
        with self._transaction():
            self._db.executemany("DELETE FROM callback WHERE id = ?", [(number,) for number in numbers])
        self._callbacks -= len(numbers)
        if not self._callbacks:
            with suppress(sqlite3.Error):  # VACUUM needs disk space; without it the file keeps its size
                self._db.execute("VACUUM")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "spool.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolInUse(folder) from None
    return descriptor


def _open_or_replace(folder: Path, max_bytes: int) -> tuple[sqlite3.Connection, int]:
    """The file, and how many callbacks are in it."""
    try:
        db = _open(folder / FILE_NAME, max_bytes)
        return db, _count(db)
    except sqlite3.DatabaseError as error:
        return _replace_broken(folder, max_bytes, error), 0


def _open(file: Path, max_bytes: int) -> sqlite3.Connection:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(_SCHEMA)
        _add_missing_columns(db)
        db.execute(f"PRAGMA max_page_count={max(max_bytes // _PAGE_BYTES, 8)}")
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
    aside = folder / f"{FILE_NAME}.broken-{time.time_ns()}"
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


def _free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def _callback(
    target: str,
    body: bytes,
    content_type: str | None,
    received_us: int,
    remote_addr: str | None,
    request_id: str,
    correlation: str | None,
    refusal: str | None,
) -> Inbound:
    path, _, query = target.partition("?")
    return Inbound(
        path=path,
        query=query,
        body=body,
        content_type=content_type,
        received_at=_time(received_us),
        remote_addr=remote_addr,
        request_id=request_id,
        correlation=correlation,
        skip_parsing_reason=refusal,
    )


def _row(c: Inbound) -> tuple[object, ...]:
    received_us = (c.received_at - _EPOCH) // _MICROSECOND
    return (
        c.target,
        c.body,
        c.content_type,
        received_us,
        c.remote_addr,
        c.request_id,
        c.correlation,
        c.skip_parsing_reason,
    )


def _time(received_us: int) -> datetime:
    return _EPOCH + received_us * _MICROSECOND


def as_line(number: int, callback: Inbound) -> bytes:
    """A line of JSON with all fields of a callback; the body is in base64."""
    c = callback
    fields = {
        "number": number,
        "path": url_path(c.target),
        "received_at": c.received_at.isoformat(),
        "content_type": c.content_type,
        "remote_addr": c.remote_addr,
        "request_id": c.request_id,
        "correlation": c.correlation,
        "refusal": c.skip_parsing_reason,
        "body": base64.b64encode(c.body).decode(),
    }
    return visible_json_line(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
