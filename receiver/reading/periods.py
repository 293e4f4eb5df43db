"""Periods as people write them: `24h`, `7d`, `2026-11-01`, `2026-11-01T12:30`, with a zone or in UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

MAX_PERIOD: Final = timedelta(days=366)
LOOK_UP: Final = "30d"
"""The period of a look-up by number, id or correlation, where none is named."""

DAY: Final = "24h"
"""The period of everything else."""

_AGO: Final = re.compile(r"(\d{1,6})\s?(m|min|h|d|w)", re.ASCII | re.IGNORECASE)
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""What lies outside was mistyped, and PostgreSQL's times and Python's differ at their ends."""

_EXAMPLES: Final = "write 24h, 7d, 2026-11-01 or 2026-11-01T12:30"


class Period(NamedTuple):
    """From `since` on, and before `until`; both aware."""

    since: datetime
    until: datetime

    def moved(self, by: timedelta) -> "Period":
        """The same length of time, so much earlier."""
        return Period(self.since - by, self.until - by)


def check(text: str) -> str:
    """The text, if it is a time. Raises ValueError with a sentence."""
    resolve(text, datetime.now(UTC), end=False)
    return text


def resolve(text: str, now: datetime, *, end: bool) -> datetime:
    """The time; one without a zone is in UTC, and a day as an `end` is meant with all its hours. Raises ValueError."""
    if ago := _AGO.fullmatch(text):
        back = int(ago[1]) * _UNITS[ago[2].lower()]
        if back > MAX_PERIOD:
            raise ValueError(f"{text} is longer than a year")
        return now - back
    if not (_DATE.fullmatch(text) or _TIME.fullmatch(text)):
        raise ValueError(f"is no time: {_EXAMPLES}")
    try:
        moment = datetime.fromisoformat(text.upper().replace(" ", "") if "T" in text.upper() else text.upper())
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"is no time that there is: {_EXAMPLES}") from None
    if end and _DATE.fullmatch(text):
        moment += timedelta(days=1)
    if not FIRST <= moment <= LAST:
        raise ValueError(f"is no time between {FIRST:%Y} and {LAST:%Y}")
    return moment


def period(since: str, until: str | None, now: datetime) -> Period:
    """Raises ValueError with a sentence."""
    found = Period(resolve(since, now, end=False), resolve(until, now, end=True) if until else now)
    if found.since >= found.until and not until:
        raise ValueError("is not in the past")
    if found.since >= found.until:
        raise ValueError("the period is over before it begins: exchange the two times")
    if found.until - found.since > MAX_PERIOD + timedelta(days=1):
        raise ValueError("the period is longer than a year: ask for less")
    return found
