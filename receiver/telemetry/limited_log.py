"""Log lines that strangers cause, and that tell of nothing which is stored: a few a second, the rest counted."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from receiver.telemetry.logs import get_logger
from receiver.telemetry.rate_limit import LogRateLimiter

LINES_PER_SECOND: Final = 5

log = get_logger()


class LimitedLog:
    """At most so many lines a second of one event and path; the next one says how many were `suppressed`."""

    def __init__(self) -> None:
        self._limit = LogRateLimiter(LINES_PER_SECOND)

    def warning(self, event: str, **keys: object) -> None:
        """One line, unless there were too many of late. A `path` is one of ours: each has a limit of its own."""
        self._tell(log.warning, event, keys)

    def error(self, event: str, **keys: object) -> None:
        """The same."""
        self._tell(log.error, event, keys)

    def _tell(self, tell: Callable[..., object], event: str, keys: dict[str, object]) -> None:
        left_out = self._limit.admit(f"{event} {keys.get('path', '')}", monotonic())
        if left_out is not None:
            tell(event, **keys, **({"suppressed": left_out} if left_out else {}))
