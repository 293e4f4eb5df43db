"""Lists of messages, the latest first. Each is found by an index: by number, id, correlation, or by time.

By time alone, a filter with few hits would read everything that was stored in the period. `sms.hourly` knows in which
hours there are hits, so only those are read.
"""

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from receiver.reading import counted
from receiver.reading.filters import Filters
from receiver.reading.paging import LIMIT, Cursor, Page, latest_of, limited, page_of
from receiver.reading.periods import Period
from receiver.reading.reader import Reader
from receiver.reading.rows import MESSAGE, Message, message
from receiver.reading.where import Where

_TICK: Final = timedelta(microseconds=1)

_TIME: Final = "first_received_at"
_TIES: Final = ("provider", "message_id", "recipient")
_ORDER: Final = ", ".join((f"{_TIME} DESC", *_TIES))

_BY_HOURS: Final = f"""
SELECT * FROM (
    SELECT {MESSAGE}
    FROM unnest({{since}}::timestamptz[], {{until}}::timestamptz[]) AS span (since, until)
    JOIN sms.message ON first_received_at >= span.since AND first_received_at < span.until
    WHERE {{where}}
    UNION ALL
    (SELECT {MESSAGE} FROM sms.message
     WHERE first_received_at >= {{oldest_since}} AND first_received_at < {{oldest_until}} AND {{where}}
     ORDER BY {_ORDER} LIMIT {{skip}}::bigint + {{limit}}::bigint)) AS found
ORDER BY {_ORDER} OFFSET {{skip}} LIMIT {{limit}}
"""
"""Fewer messages than are wanted are in all hours but the oldest. That one may have any number."""

_OF_NUMBERS: Final = (
    "unnest({}::text[]) AS named (number) CROSS JOIN LATERAL sms.messages_to(named.number, {}) AS message"
)
_OF_CORRELATION: Final = f"""
(SELECT message_id AS id, provider AS platform, array_agg(recipient) AS numbers, bool_or(recipient IS NULL) AS of_any
 FROM sms.submission WHERE correlation = {{}} AND received_at >= {{}} GROUP BY 1, 2) AS handed
CROSS JOIN LATERAL (
    SELECT {MESSAGE} FROM sms.message
    WHERE message_id = handed.id AND provider = handed.platform
          AND (recipient = ANY (handed.numbers) OR recipient IS NULL OR handed.of_any)
    OFFSET 0) AS message
"""


async def listed(
    reader: Reader, filters: Filters, *, now: datetime, older: Cursor | None = None, limit: int = LIMIT
) -> Page[Message]:
    """A page of messages. Numbers are masked, unless the number is asked for. Raises ReadError."""
    limit, period = limited(limit), filters.period(now)
    if filters.is_look_up or not counted.is_counted(filters):
        page = await _directly(reader, filters, period, older, limit)
    else:
        page = await _by_hours(reader, filters, period, older, limit)
    return page if filters.number else replace(page, rows=[row.masked() for row in page.rows])


async def in_full(reader: Reader, filters: Filters, *, now: datetime, limit: int) -> list[Message]:
    """As `listed`, its first page, with the numbers in full: for a terminal, where nobody else looks on."""
    if filters.is_look_up:
        return (await _directly(reader, filters, filters.period(now), None, limited(limit))).rows
    return (await listed(reader, filters, now=now, limit=limit)).rows


def chosen(where: Where, filters: Filters, period: Period) -> str:
    """The source, as it stands behind FROM, in which an index finds the messages; the conditions go to `where`."""
    source = "sms.message"
    if filters.number:
        source = _OF_NUMBERS.format(where.arg(list(filters.numbers)), where.arg(period.since))
    elif filters.correlation:
        source = _OF_CORRELATION.format(where.arg(filters.correlation), where.arg(period.since))
    if filters.message_id:
        where.add("message_id = {}", filters.message_id)
    elif not filters.is_look_up:
        where.add("first_received_at >= {}", period.since)
    if filters.until or not filters.is_look_up:
        where.add("first_received_at < {}", period.until)
    where.state(filters)
    where.sender(filters)
    return source


async def _directly(
    reader: Reader, filters: Filters, period: Period, older: Cursor | None, limit: int
) -> Page[Message]:
    where = Where()
    source = chosen(where, filters, period)
    at, skip, most = _place(where, older, limit + 1)
    query = latest_of(
        f"SELECT {MESSAGE} FROM {source} WHERE {at}", _TIME, _TIES, skip, most, spread=await reader.spread()
    )
    rows = [message(row) for row in await reader.fetch(query, *where.args)]
    return page_of(rows, [row.first_received_at for row in rows], limit, older)


async def _by_hours(
    reader: Reader, filters: Filters, period: Period, older: Cursor | None, limit: int
) -> Page[Message]:
    """As far back as one statement may take; the page says how far that was."""
    until = min(period.until, older.at + _TICK) if older else period.until
    began = time.monotonic()
    enough = limit + 1 + (older.skip if older else 0)
    rows: list[Message] = []
    async for hours in counted.hours_with(reader, filters, Period(period.since, until), enough):
        where = Where()
        spans = [(max(hour, period.since), min(hour + counted.HOUR, until)) for hour in hours]
        since, ends = where.arg([since for since, _ in spans[:-1]]), where.arg([ends for _, ends in spans[:-1]])
        oldest_since, oldest_until = where.arg(spans[-1][0]), where.arg(spans[-1][1])
        where.state(filters)
        where.sender(filters)
        place = older if older and hours[0] <= older.at < hours[0] + counted.HOUR else None
        at, skip, most = _place(where, place, limit + 1 - len(rows))
        bounds = {"since": since, "until": ends, "oldest_since": oldest_since, "oldest_until": oldest_until}
        query = _BY_HOURS.format(**bounds, where=at, skip=skip, limit=most)
        rows += [message(row) for row in await reader.fetch(query, *where.args)]
        if len(rows) > limit:
            break
        if time.monotonic() - began > reader.limits.statement_s and hours[-1] > period.since:
            return Page(rows, Cursor(hours[-1] - _TICK, 0), searched_since=hours[-1])
    return page_of(rows, [row.first_received_at for row in rows], limit, older)


def _place(where: Where, older: Cursor | None, limit: int) -> tuple[str, str, str]:
    """The conditions up to the cursor, and the places of the arguments for OFFSET and LIMIT."""
    if older is not None:
        where.add(f"{_TIME} <= {{}}", older.at)
    return str(where), where.arg(older.skip if older else 0), where.arg(limit)
