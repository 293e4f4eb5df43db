"""What to do about calls that fail: wait longer each time, at once for long where nobody but a person can mend it."""

import random
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from receiver.pull.source import PullFailed
from receiver.telemetry.logs import get_logger

_FIRST_S: Final = 1.0
_MOST_S: Final = 60.0
_TELL_EVERY_S: Final = 60.0

log = get_logger()


@dataclass(slots=True)
class Backoff:
    """Of one source. Doubt is always told of: each time it means other reports."""

    source: str
    delay_s: float = field(default=0.0)
    _told: dict[str, float] = field(default_factory=dict)

    def failed(self, error: PullFailed) -> float:
        """Seconds to wait: twice as long each time, with jitter so that several receivers do not come at once."""
        self.delay_s = _MOST_S if error.lasting else min(2 * self.delay_s, _MOST_S) or _FIRST_S
        if self._is_due(error.code) or error.doubt:
            event = "pull.in_doubt" if error.doubt else "pull.failed"
            log.error(event, source=self.source, code=error.code, advice=error.advice, detail=error.detail)
        return self.delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreading, not secrecy

    def waits(self, event: str, why: str) -> None:
        """Nothing can be done now, and why."""
        if self._is_due(event):
            log.error(event, source=self.source, error=why)

    def over(self) -> None:
        """A call went well."""
        if self._told:
            log.info("pull.restored", source=self.source)
        self.delay_s = 0.0
        self._told.clear()

    def _is_due(self, what: str) -> bool:
        now = monotonic()
        due = now - self._told.get(what, -_TELL_EVERY_S) >= _TELL_EVERY_S
        if due:
            self._told[what] = now
        return due
