"""How it goes: counts and rates of a period from `sms.message_counts`, beside the same period a day and a week before.

Each part is a question of its own, so that a page can show the others where one takes too long. A period covers whole
hours: that in which it begins is counted with all its minutes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from receiver.reading.counted import hour_of
from receiver.reading.filters import NONE, Filters
from receiver.reading.periods import Period
from receiver.reading.reader import Reader
from receiver.reading.where import Where

TIMEOUT_S: Final = 15.0
"""A year has hundreds of days, each with hundreds of kinds of messages."""

LONGEST_COMPARED: Final = timedelta(days=31)
"""A longer period is not compared with one that is nearly the same."""

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(weeks=1)

_HOUR: Final = timedelta(hours=1)
_STEPS: Final = ((timedelta(days=8), _HOUR), (timedelta(days=800), DAY))
"""Periods up to this length, and the step of their series: whole days are quick to count, hours are not."""

_SUMS: Final = """
coalesce(sum(messages), 0)::bigint AS messages,
coalesce(sum(messages) FILTER (WHERE status = 'delivered'), 0)::bigint AS delivered,
coalesce(sum(messages) FILTER (WHERE final AND status <> 'delivered'), 0)::bigint AS failed,
coalesce(sum(reports), 0)::bigint AS reports
"""
_COUNTS: Final = f"""
SELECT grouping(step, provider, country, reason) AS kind, step, provider, country, reason, {_SUMS}
FROM {{counted}} WHERE {{where}}
GROUP BY GROUPING SETS ((step), (provider), (country), (reason), ())
"""
_TOTALS: Final = f"SELECT {_SUMS} FROM {{counted}} WHERE {{where}}"
_CODES: Final = """
SELECT provider, code, reason, sum(messages)::bigint AS messages FROM sms.code_counts({counted})
WHERE {where} AND final AND status <> 'delivered'
GROUP BY 1, 2, 3 HAVING sum(messages) > 0 ORDER BY 4 DESC, 1, 2 LIMIT {limit}
"""
_BY_STEP: Final = 0b0111
_BY_PROVIDER: Final = 0b1011
_BY_COUNTRY: Final = 0b1101
_BY_REASON: Final = 0b1110
"""Values of `kind`: a bit is set for each column by which a row is not grouped."""


class Totals(NamedTuple):
    """Numbers of messages: delivered, failed for good, and all; and of the reports about them."""

    messages: int
    delivered: int
    failed: int
    reports: int

    @property
    def under_way(self) -> int:
        """Messages without an end yet."""
        return self.messages - self.delivered - self.failed

    @property
    def rate(self) -> float | None:
        """The share of the delivered among those with an end, from 0 to 1; None where none has one."""
        final = self.delivered + self.failed
        return self.delivered / final if final else None


class Step(NamedTuple):
    """The messages from a time on, for one step."""

    at: datetime
    totals: Totals


class Group(NamedTuple):
    """The messages of a platform or country, and the value of its filter (`-` for a country that is not known)."""

    name: str
    totals: Totals


class Failures(NamedTuple):
    """Failed messages of a reason, and the value of its filter."""

    reason: str
    messages: int


class FailedCode(NamedTuple):
    """Failed messages of a platform's code; None where the count by code is gone."""

    provider: str
    code: str | None
    reason: str | None
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of a period; groups are sorted by their size. The series has every step, also those without messages."""

    period: Period
    step: timedelta
    totals: Totals
    series: list[Step]
    providers: list[Group]
    countries: list[Group]
    reasons: list[Failures]


class Compared(NamedTuple):
    """The same hours a day and a week before; None for a period that is too long to be compared."""

    day_before: Totals | None
    week_before: Totals | None


async def counts(reader: Reader, filters: Filters, *, now: datetime) -> Counts:
    """By step, platform, country and reason, in one pass. Raises ReadError."""
    period = filters.period(now)
    step = step_of(period)
    where = Where()
    query = _COUNTS.format(counted=_counted(where, filters, period, step), where=where)
    kinds: dict[int, list[asyncpg.Record]] = {}
    for row in await reader.fetch(query, *where.args, timeout_s=TIMEOUT_S):
        kinds.setdefault(row["kind"], []).append(row)
    steps = {row["step"]: _totals(row) for row in kinds.get(_BY_STEP, ())}
    reasons = [Failures(row["reason"] or NONE, row["failed"]) for row in kinds.get(_BY_REASON, ()) if row["failed"] > 0]
    return Counts(
        period=period,
        step=step,
        totals=_sum(steps.values()),
        series=[Step(at, steps.get(at, _NONE)) for at in _times(period, step)],
        providers=_groups(kinds.get(_BY_PROVIDER, ()), "provider"),
        countries=_groups(kinds.get(_BY_COUNTRY, ()), "country"),
        reasons=sorted(reasons, key=lambda row: (-row.messages, row.reason)),
    )


async def compared(reader: Reader, filters: Filters, *, now: datetime) -> Compared:
    """The totals of the same hours before. Raises ReadError."""
    period = filters.period(now)
    if period.until - period.since > LONGEST_COMPARED:
        return Compared(None, None)
    return Compared(await totals(reader, filters, period.moved(DAY)), await totals(reader, filters, period.moved(WEEK)))


async def totals(reader: Reader, filters: Filters, period: Period) -> Totals:
    """Of any period, whatever the filters' own. Raises ReadError."""
    where = Where()
    query = _TOTALS.format(counted=_counted(where, filters, period, DAY), where=where)
    row = await reader.fetchrow(query, *where.args, timeout_s=TIMEOUT_S)
    return _totals(row) if row else _NONE


async def failed_codes(reader: Reader, filters: Filters, *, now: datetime, limit: int = 20) -> list[FailedCode]:
    """The platforms' codes with the most failures. Raises ReadError."""
    where = Where()
    counted = between(where, filters.period(now), DAY)
    where.state(filters)
    query = _CODES.format(counted=counted, where=where, limit=where.arg(limit))
    rows = await reader.fetch(query, *where.args, timeout_s=TIMEOUT_S)
    return [FailedCode(*row) for row in rows]


def step_of(period: Period) -> timedelta:
    """The step of a series over this period: at most some hundred steps."""
    length = period.until - period.since
    return next((step for most, step in _STEPS if length <= most), DAY)


_NONE: Final = Totals(0, 0, 0, 0)


def between(where: Where, period: Period, by: timedelta) -> str:
    """The arguments of the functions that count: a period's whole hours, in steps."""
    return f"{where.arg(hour_of(period.since))}, {where.arg(period.until)}, {where.arg(by)}::interval"


def _counted(where: Where, filters: Filters, period: Period, by: timedelta) -> str:
    """Where the counts come from; those with codes have four times as many rows."""
    function = "message_counts" if filters.code is None else "code_counts"
    counted = f"sms.{function}({between(where, period, by)})"
    where.state(filters)
    return counted


def _totals(row: asyncpg.Record) -> Totals:
    return Totals(row["messages"], row["delivered"], row["failed"], row["reports"])


def _sum(parts: Iterable[Totals]) -> Totals:
    columns = list(zip(*parts, strict=True))
    return Totals(*(sum(column) for column in columns)) if columns else _NONE


def _groups(rows: Iterable[asyncpg.Record], column: str) -> list[Group]:
    groups = [Group(row[column] or NONE, _totals(row)) for row in rows if row["messages"] > 0]
    return sorted(groups, key=lambda group: (-group.totals.messages, group.name))


def _times(period: Period, step: timedelta) -> list[datetime]:
    """The starts of the steps, as PostgreSQL's date_bin has them: the origin is midnight, UTC."""
    first = hour_of(period.since)
    midnight = first.replace(hour=0)
    at = midnight + (first - midnight) // step * step
    found = []
    while at < period.until:
        found.append(at)
        at += step
    return found
