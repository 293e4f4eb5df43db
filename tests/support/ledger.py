"""What the load client noted, and whether the database agrees: acknowledged within stored within attempted, each once.

A line before each request, `> number time kind id,id,...`, and one after it, `< number time outcome status seconds`.
The outcome is `ok` (the good answer), `failed` (an answer, and not the good one; or no connection at all) or `unknown`
(the connection broke or nothing came: it may be stored or not). Times are Unix seconds of the same machine's clock.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncpg

Outcome = Literal["ok", "failed", "unknown"]


@dataclass(slots=True)
class Attempt:
    """One request; without an outcome the client died before it knew."""

    kind: str
    began: float
    ids: list[str]
    ended: float | None = None
    outcome: Outcome = "unknown"
    status: str = "-"
    seconds: float | None = None


@dataclass(slots=True)
class Ledger:
    attempts: dict[int, Attempt] = field(default_factory=dict)

    def outcomes(self) -> Counter[str]:
        """Requests by outcome."""
        return Counter(attempt.outcome for attempt in self.attempts.values())

    def statuses(self) -> Counter[str]:
        """Requests by the status of their answer, or the error in its stead."""
        return Counter(attempt.status for attempt in self.attempts.values())

    def ids(self, *outcomes: Outcome) -> set[str]:
        """Reports of the requests with such an outcome; of all without any."""
        chosen = (a for a in self.attempts.values() if not outcomes or a.outcome in outcomes)
        return {message_id for attempt in chosen for message_id in attempt.ids}

    def between(self, since: float, until: float) -> "Ledger":
        """The requests that began in that time."""
        return Ledger({n: a for n, a in self.attempts.items() if since <= a.began < until})

    def percentiles(self) -> dict[str, float]:
        """Seconds to the answer, where one came; `max` of all requests."""
        took = sorted(a.seconds for a in self.attempts.values() if a.seconds is not None)
        if not took:
            return {}
        pick = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {name: took[min(int(part * len(took)), len(took) - 1)] for name, part in pick.items()}


def both(one: Ledger, other: Ledger) -> Ledger:
    """The requests of two clients."""
    return Ledger(dict(enumerate([*one.attempts.values(), *other.attempts.values()])))


def read(file: Path) -> Ledger:
    """As far as it was written: a last line by halves is left out."""
    ledger = Ledger()
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():
        mark, number, when, *rest = line.split(" ")
        if mark == ">":
            kind, ids = rest
            ledger.attempts[int(number)] = Attempt(kind, float(when), ids.split(","))
            continue
        attempt = ledger.attempts[int(number)]
        attempt.ended = float(when)
        outcome, attempt.status, seconds = rest
        assert outcome in ("ok", "failed", "unknown")
        attempt.outcome = outcome  # type: ignore[assignment]  # a Literal by the line above
        attempt.seconds = float(seconds)
    return ledger


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the database has beside what the client knows. The first four must be empty."""

    lost: set[str]
    duplicated: set[str]
    invented: set[str]
    mistimed: set[str]
    stored: int

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.invented or self.mistimed)


@dataclass(frozen=True, slots=True)
class Row:
    """What the views say of one message id."""

    reports: int
    received: float
    has_state: bool


_STORED = """
SELECT message_id, count(*) AS reports, min(received_at) AS received,
       exists (SELECT FROM sms.message AS m WHERE m.message_id = r.message_id) AS has_state
FROM sms.delivery_report AS r GROUP BY message_id
"""
_CLOCK_SLACK_S = 0.005


async def stored(url: str) -> dict[str, Row]:
    """All of the database, by message id."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(_STORED)
    finally:
        connection.terminate()
    return {row["message_id"]: Row(row["reports"], row["received"].timestamp(), row["has_state"]) for row in found}


def judge(ledger: Ledger, rows: dict[str, Row], known: Ledger | None = None) -> Verdict:
    """Compare. `known` is the whole ledger where `ledger` is a part of it.

    `mistimed` are reports whose received_at does not lie within their request: it is the arrival's, not the drain's.
    """
    attempted = {message_id: attempt for attempt in ledger.attempts.values() for message_id in attempt.ids}
    mine = {message_id: row for message_id, row in rows.items() if message_id in attempted}
    return Verdict(
        lost=ledger.ids("ok") - {i for i, row in mine.items() if row.has_state},
        duplicated={i for i, row in mine.items() if row.reports > 1},
        invented=rows.keys() - (known or ledger).ids(),
        mistimed={i for i, row in mine.items() if not _within(row.received, attempted[i])},
        stored=len(mine),
    )


def _within(received: float, attempt: Attempt) -> bool:
    """A request that got no answer may have been read at any time after it began."""
    answered = attempt.ended if attempt.outcome == "ok" else None
    return attempt.began - _CLOCK_SLACK_S <= received <= (answered or received) + _CLOCK_SLACK_S


def show(title: str, ledger: Ledger, verdict: Verdict | None = None) -> str:
    """One line for people."""
    counts = ledger.outcomes()
    line = f"{title:<34} requests {len(ledger.attempts):>5}  " + "  ".join(
        f"{name} {counts[name]:>5}" for name in ("ok", "failed", "unknown")
    )
    line += "  " + "  ".join(f"{name} {1000 * s:.0f} ms" for name, s in ledger.percentiles().items())
    if verdict is not None:
        line += f"  stored {verdict.stored}  lost {len(verdict.lost)}  duplicates {len(verdict.duplicated)}"
    return line
