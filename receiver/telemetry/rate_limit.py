"""A bound on log lines that strangers cause."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class LogRateLimiter:
    """At most so many lines of one event in a second; how many were left out comes with the next one."""

    per_second: int
    began: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    def admit(self, event: str, now: float) -> int | None:
        """None: say nothing. Else the number of lines left out since the last one."""
        if now - self.began.get(event, -1.0) >= 1:
            left_out = max(0, self.written.get(event, 0) - self.per_second)
            self.began[event], self.written[event] = now, 1
            return left_out
        self.written[event] += 1
        return 0 if self.written[event] <= self.per_second else None
