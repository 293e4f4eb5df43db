"""What long work says about itself while it goes on, for a terminal to show."""

from typing import Final, Protocol


class Told(Protocol):
    """Takes the steps of long work. `shown` is False where nobody looks, so that nothing need be asked for it."""

    shown: bool

    def stage(self, label: str, total: int | None = None) -> None:
        """Begin a part of the work; `total` is the number of its steps, None where it is not known."""

    def advance(self, steps: int = 1) -> None:
        """So many steps more are done."""

    def reach(self, done: int, total: int | None = None) -> None:
        """So many steps of the part are done in all."""

    def note(self, text: str) -> None:
        """What the work waits for, say; empty for nothing."""


class _Untold:
    shown = False

    def stage(self, label: str, total: int | None = None) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        pass

    def reach(self, done: int, total: int | None = None) -> None:
        pass

    def note(self, text: str) -> None:
        pass


UNTOLD: Final[Told] = _Untold()
"""Nobody looks."""
