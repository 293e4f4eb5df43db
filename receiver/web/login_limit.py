"""A limit for wrong tokens at the log-in, by client and in all."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from receiver.addresses import client_key

_WINDOW_S: Final = 60.0
_PER_CLIENT: Final = 5
_IN_ALL: Final = 60


class LoginLimit:
    """Counts failures of the last minute. More than `_IN_ALL` are never kept, as no further one is let in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque()

    def wait_s(self, address: str | None) -> int:
        """Seconds that this client has to wait; 0: it may try now."""
        now = self._clock()
        while self._failures and now - self._failures[0][0] >= _WINDOW_S:
            self._failures.popleft()
        client = _key(address)
        own = [at for at, one in self._failures if one == client]
        decisive = [at for at in (_nth_last(own, _PER_CLIENT), self._nth_last_of_all()) if at is not None]
        return max((math.ceil(at + _WINDOW_S - now) for at in decisive), default=0)

    def failed(self, address: str | None) -> None:
        """Count one failure."""
        self._failures.append((self._clock(), _key(address)))

    def _nth_last_of_all(self) -> float | None:
        return _nth_last([at for at, _ in self._failures], _IN_ALL)


def _nth_last(times: list[float], number: int) -> float | None:
    """The failure that has to be a minute ago for another try."""
    return times[-number] if len(times) >= number else None


def _key(address: str | None) -> str:
    return client_key(address) if address else ""
