"""Numbers of workers, and the pauses before they are started again."""

from collections.abc import Container
from itertools import count
from typing import Final

_PAUSES_S: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

SETTLED_S: Final = 10.0
"""A worker that ran for this long is replaced without a pause."""


def lowest_free(taken: Container[int]) -> int:
    """The lowest slot, from 1, that is not taken."""
    return next(slot for slot in count(1) if slot not in taken)


def pause_s(failures: int) -> float:
    """Seconds before the next start, after so many short lives or failed starts in a row."""
    return _PAUSES_S[min(max(failures - 1, 0), len(_PAUSES_S) - 1)]
