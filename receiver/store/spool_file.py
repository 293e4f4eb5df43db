"""The spool's file: callbacks in SQLite, fsynced, with a single connection.

WAL mode with `synchronous=FULL`: COMMIT returns after fdatasync of the log. SQLite before 3.51.3 can corrupt a WAL that
has two writers, so a lock on a file beside it keeps other processes out. No threads and no asyncio in here.
"""

import base64
import os
import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from receiver.inbound import Inbound
from receiver.providers import url_path
from receiver.store.spool_errors import SpoolFull, SpoolUnusable
from receiver.store.spool_open import PAGE_BYTES, lock, open_or_replace
from receiver.telemetry.visible import visible_json_line

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""Disk space that the spool leaves free, above all for an embedded PostgreSQL that has to start again."""

REJECTED_SHARE: Final = 0.25
"""Share of the spool that rejected payloads may fill: anybody can send them, and reports need the rest."""

_READ_BYTES: Final = 256 * 1024
"""Most bytes of bodies that are read at once: to parse more would delay live callbacks."""

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


def total(depths: Iterable[Depth]) -> Depth:
    """The depth of several spools together."""
    several = list(depths)
    return Depth(
        callbacks=sum(one.callbacks for one in several),
        oldest=min((one.oldest for one in several if one.oldest), default=None),
        file_bytes=sum(one.file_bytes for one in several),
    )


class SpoolFile:
    """`folder`, in the data folder, is created if need be. Raises SpoolInUse, SpoolUnusable."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._used_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = lock(folder)
            try:
                self._db, self._callbacks = open_or_replace(folder, max_bytes)
            except BaseException:
                os.close(self._lock)
                raise
        except (OSError, sqlite3.Error) as error:
            raise SpoolUnusable(folder, error) from error

    def depth(self) -> Depth:
        """The current depth, in constant time."""
        first = self._db.execute("SELECT received_us FROM callback ORDER BY id LIMIT 1").fetchone()
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        self._used_bytes = (pages - free) * PAGE_BYTES
        return Depth(self._callbacks, _arrival(*first) if first else None, pages * PAGE_BYTES)

    def has_room(self, share: float = 1.0) -> bool:
        """Whether the file may grow, within this share of its bound and of the disk. Thread-safe: no SQLite in it."""
        try:
            spare = _free_bytes(self._folder) - MIN_FREE_BYTES
        except OSError:  # the disk is gone
            return False
        return spare >= 0 and self._used_bytes < share * min(self._max_bytes, self._used_bytes + spare + PAGE_BYTES)

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


def _arrival(received_us: object) -> datetime | None:
    """The time of arrival; None for a damaged row, so that the depth can still be read."""
    try:
        return _time(received_us) if isinstance(received_us, int) else None
    except OverflowError:
        return None


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
