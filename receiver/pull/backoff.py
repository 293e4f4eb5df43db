"""Exponential backoff after failed calls; the full delay at once for errors that only an operator can fix."""

import random
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from receiver.pull.source import PullFailed
from receiver.telemetry.logs import get_logger

_FIRST_S: Final = 1.0
_MAX_S: Final = 60.0
_LOG_EVERY_S: Final = 60.0

log = get_logger()


@dataclass(slots=True)
class Backoff:
    """The backoff of one source. Log lines of one kind are a minute apart, except those about possibly lost reports."""

    source: str
    delay_s: float = field(default=0.0)
    _logged_at: dict[str, float] = field(default_factory=dict)

    def failed(self, error: PullFailed) -> float:
        """Log a failed call; the seconds to wait, doubled each time, with jitter to spread several receivers."""
        self.delay_s = _MAX_S if error.permanent else min(2 * self.delay_s, _MAX_S) or _FIRST_S
        if self._is_due(error.code) or error.doubt:
            event = "pull.in_doubt" if error.doubt else "pull.failed"
            log.error(event, source=self.source, code=error.code, advice=error.advice, detail=error.detail)
        return self.delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreading, not secrecy

    def log_waiting(self, event: str, why: str) -> None:
        """Log that pulling has to wait."""
        if self._is_due(event):
            log.error(event, source=self.source, error=why)

    def succeeded(self) -> None:
        """Reset after a call without error."""
        if self._logged_at:
            log.info("pull.restored", source=self.source)
        self.delay_s = 0.0
        self._logged_at.clear()

    def _is_due(self, key: str) -> bool:
        now = monotonic()
        due = now - self._logged_at.get(key, -_LOG_EVERY_S) >= _LOG_EVERY_S
        if due:
            self._logged_at[key] = now
        return due
