"""One test over a long list: every item is judged, and the failure names each one that is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager


class Offenders:
    """`found` has a line for each failed block, with the block's name in front."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self.found.append(f"{name}: {error}")
        except Exception as error:
            error.add_note(f"at {name}")
            raise
