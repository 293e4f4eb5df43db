"""How long deliveries took, and how reports come in now."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from receiver.reading.counted import hour_of
from receiver.reading.filters import Filters
from receiver.reading.overview import DAY, TIMEOUT_S, between
from receiver.reading.reader import Reader
from receiver.reading.where import Where

MAX_RECENT: Final = 100_000
"""Reports of the last hour that are looked at, the latest first."""

_MINUTE: Final = timedelta(minutes=1)
_LATELY: Final = timedelta(days=31)
"""How far back a platform's last report is looked for."""

_TIMES: Final = """
SELECT provider, seconds, sum(messages)::bigint AS messages FROM sms.delivery_time_counts({counted})
WHERE {where} GROUP BY GROUPING SETS ((provider, seconds), (seconds)) HAVING sum(messages) > 0 ORDER BY seconds
"""
_RECENT: Final = f"""
SELECT date_trunc('minute', received_at) AS minute, provider, count(*) AS reports, max(received_at) AS last
FROM (SELECT received_at, provider FROM sms.delivery_report
      WHERE received_at > $1 AND received_at <= $2 ORDER BY received_at DESC LIMIT {MAX_RECENT}) AS latest
GROUP BY 1, 2 ORDER BY 1, 2
"""
_LAST_HOURS: Final = """
SELECT provider, max(hour) AS hour
FROM (SELECT counted.provider, hour
      FROM (SELECT provider, max(day) AS day
            FROM (SELECT provider, day FROM sms.daily WHERE day >= $1
                  GROUP BY 1, 2 HAVING sum(messages - silent) > 0) AS reported
            GROUP BY 1) AS last
      JOIN sms.hourly AS counted ON counted.provider = last.provider
           AND hour >= last.day AND hour < last.day + interval '24 hours'
      WHERE reported
      GROUP BY 1, 2 HAVING sum(messages) > 0) AS reported
GROUP BY 1 ORDER BY 1
"""
"""By the day first, for a month of hours would be many rows."""


class Times(NamedTuple):
    """Seconds within which half, 90 % and 99 % of the deliveries were made, each within 5 %, and the histogram."""

    messages: int
    median_s: float
    p90_s: float
    p99_s: float
    histogram: list[tuple[float, int]]


class DeliveryTimes(NamedTuple):
    """Of all deliveries with a known submission; None where there is none."""

    whole: Times | None
    providers: dict[str, Times]


class Minute(NamedTuple):
    """Reports that arrived within a minute."""

    at: datetime
    reports: int


class LastReport(NamedTuple):
    """A platform's last report. Not `exact`: it came in the hour of `at`, or later about a message of before."""

    provider: str
    at: datetime
    exact: bool


class Recent(NamedTuple):
    """The minutes of the last hour, those of them that were looked at, and each platform's last report."""

    minutes: list[Minute]
    last: list[LastReport]


async def delivery_times(reader: Reader, filters: Filters, *, now: datetime) -> DeliveryTimes:
    """By platform and country, by the hour of submission. Raises ReadError."""
    where = Where()
    counted = between(where, filters.period(now), DAY)
    for name in ("provider", "country"):
        if (value := getattr(filters, name)) is not None:
            where.equals(name, value)
    parts: dict[str | None, list[tuple[float, int]]] = {}
    for row in await reader.fetch(_TIMES.format(counted=counted, where=where), *where.args, timeout_s=TIMEOUT_S):
        parts.setdefault(row["provider"], []).append((row["seconds"], row["messages"]))
    whole = parts.pop(None, [])
    providers = {name: of_histogram(steps) for name, steps in parts.items() if name is not None}
    return DeliveryTimes(of_histogram(whole) if whole else None, providers)


def of_histogram(steps: list[tuple[float, int]]) -> Times:
    """Of seconds, ascending, and the number of messages of each."""
    total = sum(messages for _, messages in steps)
    median_s, p90_s, p99_s = (_reached(steps, share * total) for share in (0.5, 0.9, 0.99))
    return Times(total, median_s, p90_s, p99_s, steps)


def _reached(steps: list[tuple[float, int]], wanted: float) -> float:
    reached = 0
    for seconds, messages in steps:
        reached += messages
        if reached >= wanted:
            return seconds
    return steps[-1][0]


async def recent(reader: Reader, *, now: datetime) -> Recent:
    """Reports a minute in the last hour. At a high rate it has fewer minutes. Raises ReadError."""
    since = now - timedelta(hours=1)
    rows = await reader.fetch(_RECENT, since, now)
    counted: dict[datetime, int] = {}
    last: dict[str, LastReport] = {}
    for row in rows:
        counted[row["minute"]] = counted.get(row["minute"], 0) + row["reports"]
        last[row["provider"]] = LastReport(row["provider"], row["last"], exact=True)
    first = since.replace(second=0, microsecond=0) + _MINUTE
    if sum(counted.values()) >= MAX_RECENT:
        first = min(counted) + _MINUTE  # of that minute not all were looked at
    minutes = [Minute(at, counted.get(at, 0)) for at in _minutes(first, now)]
    for one in await _last_hours(reader, now):
        last.setdefault(one.provider, one)
    return Recent(minutes, sorted(last.values()))


async def _last_hours(reader: Reader, now: datetime) -> list[LastReport]:
    """By the counts: there is no index of reports by platform."""
    rows = await reader.fetch(_LAST_HOURS, hour_of(now - _LATELY))
    return [LastReport(row["provider"], row["hour"], exact=False) for row in rows]


def _minutes(first: datetime, until: datetime) -> Iterable[datetime]:
    at = first
    while at <= until:
        yield at
        at += _MINUTE
