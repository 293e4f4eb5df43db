"""Errors that keep the embedded PostgreSQL from running. Each text names the remedy."""

from pathlib import Path

from receiver.errors import OperatorError


class EmbeddedError(OperatorError):
    """Base class; the command line prints the text and stops."""


class DataFolderInUse(EmbeddedError):  # noqa: N818 - the name says it
    """Another service, or a command that started the server for itself, holds the data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"The data folder {folder} is in use by {holder}. Stop it first, or give this one"
            " its own folder with RECEIVER_DATA_DIR."
        )
        self.folder = folder
        self.pid = pid


class DataFolderError(EmbeddedError):
    """The data folder cannot be made or entered, or has the wrong owner."""


class DataVersionError(EmbeddedError):
    """The data folder was made by another major version of PostgreSQL."""


class BinariesError(EmbeddedError):
    """The wheel's PostgreSQL is missing, or does not run on this machine."""


class StartFailed(EmbeddedError):  # noqa: N818 - the name says it
    """`initdb` or `postgres` failed to start; the text ends with its last log lines."""
