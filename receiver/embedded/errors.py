"""Errors that keep the embedded PostgreSQL from running. Each text names the remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from receiver.errors import OperatorError

_ADVICE: Final = {
    errno.EACCES: "run this as the service's user, or set a folder that this user may write to",
    errno.EPERM: "run this as the service's user, or set a folder that this user may write to",
    errno.EROFS: "set a folder on a disk that can be written to",
    errno.ENOSPC: "make room on its disk",
    errno.ENOTDIR: "it, or what it is in, is no folder: set another",
    errno.EEXIST: "it, or what it is in, is no folder: set another",
}
_OTHERWISE: Final = "set a folder that can be made and written to"


class EmbeddedError(OperatorError):
    """Base class; the command line prints the text and stops."""


class FolderError(EmbeddedError):
    """An error of the data folder or of the server on it; `about` sets the folder."""

    folder: Path | None = None

    def __str__(self) -> str:
        said = super().__str__()
        return f"RECEIVER_DATA_DIR={self.folder}: {said}" if self.folder else said


@contextmanager
def about(folder: Path) -> Iterator[None]:
    """Add the folder to a FolderError of the block; an OSError becomes a DataFolderError."""
    try:
        yield
    except FolderError as error:
        error.folder = folder
        raise
    except OSError as error:
        converted = DataFolderError(
            f"it cannot be used ({error.strerror or error}): {_ADVICE.get(error.errno or 0, _OTHERWISE)}"
        )
        converted.folder = folder
        raise converted from error


class DataFolderInUse(FolderError):
    """Another service, or a command that started the server for itself, holds the data folder."""

    def __init__(self, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"it is in use by {holder}: stop that first, or set a folder of its own for this one")
        self.pid = pid


class DataFolderError(FolderError):
    """The data folder cannot be made or entered, or has the wrong owner."""


class DataVersionError(FolderError):
    """The data folder was made by another major version of PostgreSQL."""


class BinariesError(EmbeddedError):
    """The wheel's PostgreSQL is missing, or does not run on this machine."""


class StartFailed(FolderError):
    """`initdb` or `postgres` failed to start; the text ends with its last log lines."""
