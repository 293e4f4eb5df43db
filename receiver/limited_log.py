"""Log lines that strangers cause, and that tell of nothing which is stored: a few a second, the rest counted."""

from time import monotonic
from typing import Final

from receiver.line_limit import LineLimit
from receiver.logs import get_logger

LINES_PER_SECOND: Final = 5

log = get_logger()


class LimitedLog:
    """At most so many lines a second of one event and `provider`; the next one says how many were `suppressed`."""

    def __init__(self) -> None:
        self._limit = LineLimit(LINES_PER_SECOND)

    def warning(self, event: str, provider: str = "", **keys: object) -> None:
        """One line, unless there were too many of late."""
        left_out = self._limit.admit(f"{event} {provider}", monotonic())
        if left_out is not None:
            whose = {"provider": provider} if provider else {}
            more = {"suppressed": left_out} if left_out else {}
            log.warning(event, **whose, **keys, **more)
