"""The results of the requests: the counts and the summary of a run."""

import json
import math
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from receiver.simulate.traffic import Kind, Request

Outcome = Literal["ok", "failed", "unknown"]
"""`ok`: answered as it should be. `failed`: answered otherwise, or never sent. `unknown`: sent, and no answer came."""

_PERCENTILES: Final = (50, 95, 99)


@dataclass(slots=True)
class Tally:
    """Grows while a run goes on. `answers` counts by HTTP status, or by the reason for having none. Times in
    seconds.
    """

    requests: Counter[Kind] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reports: int = 0
    repeats: int = 0
    acknowledged: int = 0
    wrong_in_a_row: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    elapsed: float = 0.0

    def add(self, request: Request, answer: str, outcome: Outcome, latency: float | None) -> None:
        """Count one request; `latency` is None where no answer came."""
        self.requests[request.kind] += 1
        self.answers[answer] += 1
        self.outcomes[outcome] += 1
        self.reports += request.reports
        self.repeats += request.repeats
        self.wrong_in_a_row = 0 if outcome == "ok" else self.wrong_in_a_row + 1
        self.acknowledged += request.reports if outcome == "ok" else 0
        if latency is not None:
            self.latencies.append(latency)

    @property
    def as_expected(self) -> bool:
        """Whether every request got the answer that it should get."""
        return self.outcomes["ok"] == self.outcomes.total()

    def summary(self) -> dict[str, object]:
        """For people and machines: counts, seconds, milliseconds, reports a second."""
        return {
            "requests": self.requests.total(),
            "reports": self.reports,
            "distinct_reports": self.reports - self.repeats,
            "acknowledged_reports": self.acknowledged,
            "replies": self.requests["reply"],
            "malformed": self.requests["malformed"],
            "answers": dict(sorted(self.answers.items())),
            "unexpected": self.outcomes.total() - self.outcomes["ok"],
            "latency_ms": self._latency_ms(),
            "elapsed_s": round(self.elapsed, 3),
            "reports_per_s": round(self.reports / self.elapsed, 1) if self.elapsed else None,
        }

    def _latency_ms(self) -> dict[str, float | None]:
        ordered = sorted(self.latencies)
        ranks = {p: math.ceil(len(ordered) * p / 100) - 1 for p in _PERCENTILES}
        return {f"p{p}": round(ordered[rank] * 1000, 2) if ordered else None for p, rank in ranks.items()}


def as_text(summary: Mapping[str, object]) -> str:
    """The summary for people, one line a fact."""
    return "\n".join(f"{name.replace('_', ' '):<21} {_plain(value)}" for name, value in summary.items())


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items()) or "none"
    return "none" if value is None else str(value)


def ledger_line(request: Request, answer: str, outcome: Outcome) -> str:
    """One request as a line of JSON, for a later check that nothing was lost."""
    line = {
        "path": request.push.path,
        "kind": request.kind,
        "message_ids": request.push.message_ids,
        "answer": answer,
        "outcome": outcome,
    }
    return json.dumps(line) + "\n"
