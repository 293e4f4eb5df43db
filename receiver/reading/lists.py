"""Lists beside the messages', each the latest first: reports, replies, rejected payloads, overdue messages."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from receiver.reading import periods
from receiver.reading.filters import Filters
from receiver.reading.paging import LIMIT, Cursor, Page, latest_of, limited, page_of
from receiver.reading.reader import Reader
from receiver.reading.rows import OVERDUE, REJECTED, REPLY, REPORT_LISTED, Overdue, Rejected, Reply, Report
from receiver.reading.where import Where

T = TypeVar("T")

MAX_OVERDUE: Final = 100_000
"""As far as overdue messages are counted."""

_OVERDUE_COUNTS: Final = f"""
SELECT provider, rule, count(*) AS messages, min(submitted_at) AS oldest
FROM (SELECT provider, rule, submitted_at FROM sms.overdue_message LIMIT {MAX_OVERDUE}) AS overdue
GROUP BY 1, 2 ORDER BY 1, 2
"""
MAX_REJECTED: Final = 10_000
"""As far as rejected payloads are counted."""

_REJECTED_COUNT: Final = f"""
SELECT count(*) FROM (SELECT 1 FROM sms.rejected_payload WHERE {{where}} LIMIT {MAX_REJECTED}) AS rejected
"""
_BODY: Final = f"SELECT {REJECTED}, body FROM sms.rejected_payload WHERE rejected_id = $1"


class _List(NamedTuple):
    """A view, and the columns by which it is in order; the first is a time that is indexed."""

    columns: str
    view: str
    order: tuple[str, ...]


_REPORTS: Final = _List(REPORT_LISTED, "sms.delivery_report", ("received_at", "report_id"))
_REPLIES: Final = _List(REPLY, "sms.reply", ("received_at", "reply_id"))
_REJECTED: Final = _List(REJECTED, "sms.rejected_payload", ("received_at", "rejected_id"))
_OVERDUE: Final = _List(OVERDUE, "sms.overdue_message", ("submitted_at", "provider", "message_id", "recipient"))


class OverdueCount(NamedTuple):
    """Overdue messages of a platform by rule (`window`, `lag`), and since when the oldest of them is awaited."""

    provider: str
    rule: str
    messages: int
    oldest: datetime


class RejectedBody(NamedTuple):
    """A rejected payload with its bytes."""

    payload: Rejected
    body: bytes


async def reports(
    reader: Reader, filters: Filters, *, now: datetime, older: Cursor | None = None, limit: int = LIMIT
) -> Page[Report]:
    """Reports, without the platform's own fields. Numbers are masked, unless the number is asked for."""
    where = Where()
    where.between("received_at", *filters.period(now))
    report_conditions(where, filters)
    page = await _page(reader, _REPORTS, where, older, limit, lambda row: Report(*row))
    return page if filters.number else _masked(page, Report.masked)


def report_conditions(where: Where, filters: Filters) -> None:
    """Which reports are asked for, beside their time."""
    where.state(filters)
    where.sender(filters)
    if filters.number:
        where.add("recipient = ANY({}::text[])", list(filters.numbers))
    if filters.message_id:
        where.add("message_id = {}", filters.message_id)


async def replies(
    reader: Reader, filters: Filters, *, now: datetime, older: Cursor | None = None, limit: int = LIMIT
) -> Page[Reply]:
    """Replies; `number` is the subscriber's, `sender` the channel's. Numbers are masked as in `reports`."""
    where = Where()
    where.between("received_at", *filters.period(now))
    reply_conditions(where, filters)
    page = await _page(reader, _REPLIES, where, older, limit, lambda row: Reply(*row))
    return page if filters.number else _masked(page, Reply.masked)


def reply_conditions(where: Where, filters: Filters) -> None:
    """Which replies are asked for, beside their time."""
    if filters.provider:
        where.add("provider = {}", filters.provider)
    if filters.number:
        where.add("sender = ANY({}::text[])", list(filters.numbers))
    if filters.sender:
        where.add("recipient = {}", filters.sender)


async def rejected(
    reader: Reader, filters: Filters, *, now: datetime, older: Cursor | None = None, limit: int = LIMIT
) -> Page[Rejected]:
    """Rejected payloads without their bodies, of a month if no time is named."""
    where = Where()
    where.between("received_at", *of_a_month(filters, now))
    rejected_conditions(where, filters)
    return await _page(reader, _REJECTED, where, older, limit, lambda row: Rejected(*row))


async def rejected_count(reader: Reader, filters: Filters, *, now: datetime) -> int:
    """Rejected payloads of the same list, counted up to `MAX_REJECTED`."""
    where = Where()
    where.between("received_at", *of_a_month(filters, now))
    rejected_conditions(where, filters)
    return int(await reader.fetchval(_REJECTED_COUNT.format(where=where), *where.args) or 0)


def rejected_conditions(where: Where, filters: Filters) -> None:
    """Which rejected payloads are asked for, beside their time."""
    if filters.provider:
        where.add("provider = {}", filters.provider)
    if filters.error:
        where.add("strpos(lower(error), lower({})) > 0", filters.error)
    if not filters.replayed:
        where.add("replayed_at IS NULL")


async def rejected_body(reader: Reader, rejected_id: UUID) -> RejectedBody | None:
    """One payload with its body; None if there is none (any more)."""
    row = await reader.fetchrow(_BODY, rejected_id)
    return RejectedBody(Rejected(*tuple(row)[:-1]), row["body"]) if row else None


async def overdue(
    reader: Reader, filters: Filters, *, now: datetime, older: Cursor | None = None, limit: int = LIMIT
) -> Page[Overdue]:
    """Overdue messages by the time of their submission, of a month if none is named. Numbers are masked."""
    where = Where()
    where.between("submitted_at", *of_a_month(filters, now))
    overdue_conditions(where, filters)
    page = await _page(reader, _OVERDUE, where, older, limit, lambda row: Overdue(*row))
    return _masked(page, Overdue.masked)


def overdue_conditions(where: Where, filters: Filters) -> None:
    """Which overdue messages are asked for, beside their time."""
    if filters.provider:
        where.add("provider = {}", filters.provider)
    if filters.country:
        where.equals("country", filters.country)


async def overdue_counts(reader: Reader) -> list[OverdueCount]:
    """All overdue messages, counted up to `MAX_OVERDUE`."""
    return [OverdueCount(*row) for row in await reader.fetch(_OVERDUE_COUNTS)]


def of_a_month(filters: Filters, now: datetime) -> periods.Period:
    """The period of lists that are short: a month if none is named."""
    return periods.period(filters.since or periods.LOOK_UP, filters.until, now)


async def _page(
    reader: Reader,
    wanted: _List,
    where: Where,
    older: Cursor | None,
    limit: int,
    make: Callable[[asyncpg.Record], T],
) -> Page[T]:
    limit = limited(limit)
    time, *ties = wanted.order
    if older is not None:
        where.add(f"{time} <= {{}}", older.at)
    skip, most = where.arg(older.skip if older else 0), where.arg(limit + 1)
    query = f"SELECT {wanted.columns} FROM {wanted.view} WHERE {where}"
    latest = latest_of(query, time, ties, skip, most, spread=await reader.spread())
    rows = await reader.fetch(latest, *where.args)
    return page_of([make(row) for row in rows], [row[time] for row in rows], limit, older)


def _masked(page: Page[T], mask: Callable[[T], T]) -> Page[T]:
    return Page([mask(row) for row in page.rows], page.older)
