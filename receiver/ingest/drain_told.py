"""How far the drain of the spool is, for a person at the terminal. The log has its events, and not these lines."""

import asyncio
from typing import Final

from receiver.telemetry import logs
from receiver.telemetry.redaction import now
from receiver.telemetry.short_line import clock

_EVERY_S: Final = 2.0
_MINUTE_S: Final = 60


class DrainTold:
    """Tells every two seconds, from the second on in which the drain took longer."""

    def __init__(self) -> None:
        self._since = 0.0
        self._done = 0

    def begun(self) -> None:
        """The drain begins, or begins again after a pause."""
        self._since = asyncio.get_running_loop().time()
        self._done = 0

    def advanced(self, callbacks: int, left: int) -> None:
        """So many are stored, and so many are left."""
        self._done += callbacks
        passed = asyncio.get_running_loop().time() - self._since
        if passed < _EVERY_S:
            return
        if left and logs.tells():
            logs.tell(f"{clock(now())}  spool: {_progress(left, self._done / passed)}")
        self.begun()


def _progress(left: int, rate: float) -> str:
    seconds = left / rate
    about = f"{seconds / _MINUTE_S:.0f} min" if seconds > 2 * _MINUTE_S else f"{seconds:.0f} s"
    return f"{left:,} callbacks left, {rate:,.0f} a second, about {about}"
