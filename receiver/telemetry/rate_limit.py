"""A rate limit for log lines that strangers cause."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Division:
    processes: int = 1


_division = _Division()


def divided_among(processes: int) -> None:
    """Let this process have its share alone of every limit from now on: so many processes write into one log."""
    _division.processes = processes


@dataclass(slots=True)
class LogRateLimiter:
    """At most `per_second` lines of one event; the number of suppressed lines is reported with the next one."""

    per_second: int
    began: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    @property
    def _most(self) -> int:
        return max(1, self.per_second // _division.processes)

    def admit(self, event: str, now: float) -> int | None:
        """None: suppress this line. Else the number of lines suppressed since the last one. `now` in seconds."""
        if now - self.began.get(event, -1.0) >= 1:
            left_out = max(0, self.written.get(event, 0) - self._most)
            self.began[event], self.written[event] = now, 1
            return left_out
        self.written[event] += 1
        return 0 if self.written[event] <= self._most else None
