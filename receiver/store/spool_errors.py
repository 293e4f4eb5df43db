"""Why the spool cannot be used, or does not take something."""

from pathlib import Path

from receiver.errors import OperatorError


class SpoolFull(Exception):
    """The spool has reached its size, or the disk is full or failing."""


class SpoolInUse(OperatorError):
    """Another process has this spool open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"RECEIVER_DATA_DIR={folder.parent}: another receiver has the spool in {folder} open: "
            "stop that first, or set a folder of its own for this one"
        )


class SpoolUnusable(OperatorError):
    """The machine does not let us have this spool."""

    def __init__(self, folder: Path, error: Exception) -> None:
        said = getattr(error, "strerror", None) or str(error)
        super().__init__(
            f"RECEIVER_DATA_DIR={folder.parent}: the spool in {folder} cannot be used ({said}): "
            "see to whom it belongs, what is in its place, and whether its disk has room; or set another folder"
        )
