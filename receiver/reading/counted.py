"""Where the counts say that there are messages of a kind: by the day first, for a month of hours is many rows."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Final

from receiver.reading.filters import Filters
from receiver.reading.periods import Period
from receiver.reading.reader import Reader
from receiver.reading.where import COUNTED, Where

HOUR: Final = timedelta(hours=1)
_TICK: Final = timedelta(microseconds=1)

_STEPS: Final = (6 * HOUR, 48 * HOUR, 31 * 24 * HOUR)
"""How far back the counts are looked at, step by step: most filters have hits in the last hours."""

_HOURS: Final = """
SELECT hour, sum(messages)::bigint AS messages
FROM (SELECT day FROM {daily} WHERE day > {since} - interval '24 hours' AND day < {until} AND {where}
      GROUP BY 1 HAVING sum(messages) > 0) AS one
JOIN sms.hourly ON hour >= greatest(one.day, {since}) AND hour < least(one.day + interval '24 hours', {until})
WHERE {where}
GROUP BY 1 HAVING sum(messages) > 0
ORDER BY 1 DESC
"""


def is_counted(filters: Filters) -> bool:
    """Whether a filter is set by which `sms.hourly` counts."""
    return filters.status is not None or any(getattr(filters, name) is not None for name in COUNTED)


async def hours_with(reader: Reader, filters: Filters, period: Period, enough: int) -> AsyncIterator[list[datetime]]:
    """Hours with messages that match, the latest first, in lists of as many as have `enough` messages by the counts."""
    until = period.until
    for step in chain(_STEPS, repeat(_STEPS[-1])):
        since = hour_of(max(until - step, period.since))
        where = Where(since, until)
        where.state(filters)
        daily = "sms.daily" if filters.code is None else "sms.daily_codes"
        query = _HOURS.format(daily=daily, since="$1::timestamptz", until="$2::timestamptz", where=where)
        hours: list[datetime] = []
        total = 0
        for row in await reader.fetch(query, *where.args):
            hours.append(row["hour"])
            total += row["messages"]
            if total >= enough:
                yield hours
                hours, total = [], 0
        if hours:
            yield hours
        if since <= period.since:
            return
        until = since


def hour_of(moment: datetime) -> datetime:
    """The hour (UTC) that the time is in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def whole_hours(period: Period) -> Period:
    """The period as it is counted: the hours in which it begins and ends are in it."""
    return Period(hour_of(period.since), hour_of(period.until - _TICK) + HOUR)
