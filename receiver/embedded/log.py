"""`postgresql.log`, PostgreSQL's stderr: bounded, and its last lines for error texts."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

MAX_LOG_BYTES: Final = 16 * 1024 * 1024
"""At most twice this stays on disk: the log and its predecessor."""

_TAIL_BYTES: Final = 2000
_TAIL_LINES: Final = 8


def open_log(log: Path) -> BinaryIO:
    """A file for a child to append to. Opened by us, so that its account needs no access to the folder."""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(fd, "wb", buffering=0)


def trim_log(log: Path) -> None:
    """Copy a log that is too long to `.1` and truncate it in place: a running server goes on appending to it."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG_BYTES:
            with suppress(OSError):  # a full disk must not keep the log from being emptied
                shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def tail(log: Path) -> str:
    """The last lines, indented; empty if there is no log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
