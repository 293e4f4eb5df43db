"""The data folder, the spool in it, and the data of the embedded PostgreSQL: looked at, and never opened to write."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from receiver import embedded
from receiver.checks.finding import Finding
from receiver.embedded.account import account_for, check_reach
from receiver.embedded.binaries import MAJOR
from receiver.embedded.datafolder import check_version
from receiver.embedded.errors import about
from receiver.embedded.layout import layout_of
from receiver.settings import Settings, variable
from receiver.store.spool_file import MIN_FREE_BYTES
from receiver.store.spool_folders import is_locked, main_folder, worker_folders
from receiver.store.spool_open import FILE_NAME

FOLDER, SPOOL, EMBEDDED = "data folder", "spool", "embedded PostgreSQL"

_MIB: Final = 1024 * 1024

_WAITING: Final = "SELECT count(*), coalesce(sum(length(body)), 0) FROM callback"
_TAKEN: Final = "`receiver serve` takes them to PostgreSQL; `receiver spool export` writes them out"

_SET_ANOTHER: Final = f"run this as the service's user, or set {variable('data_dir')} to a folder that it may write to"


def folder(settings: Settings) -> list[Finding]:
    """Whether the service can have its folder, and room in it."""
    with about(settings.data_dir):
        return list(_folder(settings))


def _folder(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir
    there = _first_that_exists(path)
    if not there.is_dir():
        yield Finding(FOLDER, "error", f"{there} is no folder", f"set {variable('data_dir')} to another")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(FOLDER, "error", f"{there} cannot be written to", _SET_ANOTHER)
        return
    made = "can be written to" if there == path else f"is not there yet: `receiver serve` makes it in {there}"
    yield Finding(FOLDER, "ok", f"{path} {made}")
    yield from _room(settings, there)


def _room(settings: Settings, there: Path) -> Iterator[Finding]:
    disk = os.statvfs(there)
    free = disk.f_bavail * disk.f_frsize
    told = f"{free // _MIB} MiB are free on its disk"
    if free < MIN_FREE_BYTES:
        yield Finding(
            FOLDER, "error", f"{told}: the spool takes nothing below {MIN_FREE_BYTES // _MIB} MiB", "make room"
        )
    elif free < settings.spool_max_bytes + MIN_FREE_BYTES:
        whole = f"the spool may grow to {settings.spool_max_bytes // _MIB} MiB"
        advice = f"make room, or lower {variable('spool_max_bytes')}"
        yield Finding(FOLDER, "warning", f"{told}, and {whole}", advice)
    else:
        yield Finding(FOLDER, "ok", told)


def spool(settings: Settings) -> list[Finding]:
    """What is in the spools; those of a running receiver are its own."""
    with about(settings.data_dir):
        return list(_spools(settings))


def _spools(settings: Settings) -> Iterator[Finding]:
    main = main_folder(settings.data_dir)
    if not main.is_dir():
        yield Finding(SPOOL, "ok", "there is none yet")
        return
    if is_locked(main):
        yield Finding(SPOOL, "ok", "a running receiver has it: `receiver spool` asks that one how much waits")
    else:
        workers = {f" of worker {slot}": at for slot, at in worker_folders(settings.data_dir).items()}
        left = [found for whose, at in {"": main, **workers}.items() for found in _left(whose, at / FILE_NAME)]
        yield from left or [Finding(SPOOL, "ok", "nothing waits in it")]
    for aside in sorted(main.rglob(f"{FILE_NAME}.broken-*")):
        if not aside.name.endswith(("-wal", "-shm")):
            told = f"{aside} was set aside, as it could not be read"
            yield Finding(SPOOL, "warning", told, "save from it what can be saved, and remove it")


def _left(whose: str, file: Path) -> Iterator[Finding]:
    """What a receiver has left in this spool. SQLite is told that nothing changes, so that it writes nothing."""
    if not file.exists():
        return
    if _size(file.with_name(f"{file.name}-wal")):
        told = f"the spool{whose} was not closed: what waits in it is counted when it is opened"
        yield Finding(SPOOL, "warning", told, _TAKEN)
        return
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            waiting, bytes_there = db.execute(_WAITING).fetchone()
    except sqlite3.DatabaseError as error:
        told = f"{file} cannot be read ({error})"
        yield Finding(SPOOL, "error", told, "`receiver serve` sets it aside, and begins another: save it before")
        return
    if waiting:
        told = f"{waiting} callbacks wait in the spool{whose} ({bytes_there // 1024} KiB)"
        yield Finding(SPOOL, "warning", told, _TAKEN)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def embedded_data(settings: Settings) -> list[Finding]:
    """Whether the embedded PostgreSQL could start on the data that are there, or does run."""
    if settings.database_url is not None:
        return []
    embedded.require_programs()
    layout = layout_of(settings.data_dir)
    with about(settings.data_dir):
        if embedded.in_use(settings.data_dir):
            return [Finding(EMBEDDED, "ok", f"it runs on {layout.pgdata}")]
        check_reach(_first_that_exists(layout.folder), account_for(layout.pgdata))
        if not (layout.pgdata.exists() and any(layout.pgdata.iterdir())):
            return [Finding(EMBEDDED, "ok", f"`receiver serve` makes it in {layout.pgdata}, and starts it")]
        check_version(layout.pgdata)
    told = f"it does not run: `receiver serve` starts it on {layout.pgdata}, which is of PostgreSQL {MAJOR}"
    return [Finding(EMBEDDED, "ok", told)]


def _first_that_exists(path: Path) -> Path:
    return next(step for step in (path, *path.parents) if step.exists())
