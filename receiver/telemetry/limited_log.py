"""Rate-limited log lines, for events that strangers cause and that store nothing."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from receiver.telemetry.logs import get_logger
from receiver.telemetry.rate_limit import LogRateLimiter

LINES_PER_SECOND: Final = 5

log = get_logger()


class LimitedLog:
    """At most `LINES_PER_SECOND` lines of one event and path; the next one has the number `suppressed`."""

    def __init__(self) -> None:
        self._limit = LogRateLimiter(LINES_PER_SECOND)

    def warning(self, event: str, **keys: object) -> None:
        """One line, unless the limit is reached. `path` is a route of ours; each has its own limit."""
        self._write(log.warning, event, keys)

    def error(self, event: str, **keys: object) -> None:
        """As `warning`, at the level ERROR."""
        self._write(log.error, event, keys)

    def _write(self, log_method: Callable[..., object], event: str, keys: dict[str, object]) -> None:
        suppressed = self._limit.admit(f"{event} {keys.get('path', '')}", monotonic())
        if suppressed is not None:
            log_method(event, **keys, **({"suppressed": suppressed} if suppressed else {}))
