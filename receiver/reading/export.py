"""Lists as files of any length: read row by row, of one moment, in order of time, with bounded memory."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from receiver.reading import lists, messages, overview, periods
from receiver.reading.counted import is_counted
from receiver.reading.filters import FilterError, Filters
from receiver.reading.formats import Format, encoder, header
from receiver.reading.periods import Period
from receiver.reading.reader import Reader
from receiver.reading.rows import BARE, FILE, Message, Overdue, Rejected, Reply, Report, columns_of
from receiver.reading.where import Where
from receiver.telemetry.masking import mask_msisdn

_PAGE: Final = 100
"""Rows at a time: for a millisecond or two nothing else is done, no callback answered."""


class Chunk(NamedTuple):
    """Lines of a file, and the number of rows in them."""

    data: bytes
    rows: int


Source = Callable[[Where, Filters, Period], str]
"""Adds the conditions, and returns the source as it stands behind FROM."""


class _Kind(NamedTuple):
    """A list: its columns, where its rows are, its time, the filters that it knows, and its period by default."""

    names: tuple[str, ...]
    source: Source
    time: str
    known: frozenset[str]
    period: str = periods.DAY


def _view(name: str, time: str, conditions: Callable[[Where, Filters], None]) -> Source:
    def source(where: Where, filters: Filters, period: Period) -> str:
        where.between(time, *period)
        conditions(where, filters)
        return name

    return source


_TIMES: Final = frozenset(("since", "until"))
_STATE: Final = _TIMES | {"provider", "country", "status", "reason", "code", "sender", "number", "message_id"}
_REPORT: Final = tuple(name for name in Report._fields if name != "raw")

_REPORTS: Final = _view("sms.delivery_report", "received_at", lists.report_conditions)
_REPLIES: Final = _view("sms.reply", "received_at", lists.reply_conditions)
_REJECTED: Final = _view("sms.rejected_payload", "received_at", lists.rejected_conditions)
_OVERDUE: Final = _view("sms.overdue_message", "submitted_at", lists.overdue_conditions)
_KINDS: Final[Mapping[str, _Kind]] = {
    "reports": _Kind(_REPORT, _REPORTS, "received_at", _STATE),
    "messages": _Kind(Message._fields, messages.chosen, "first_received_at", _STATE | {"correlation"}),
    "replies": _Kind(Reply._fields, _REPLIES, "received_at", _TIMES | {"provider", "number", "sender"}),
    "rejected": _Kind(
        Rejected._fields, _REJECTED, "received_at", _TIMES | {"provider", "error", "replayed"}, periods.LOOK_UP
    ),
    "overdue": _Kind(Overdue._fields, _OVERDUE, "submitted_at", _TIMES | {"provider", "country"}, periods.LOOK_UP),
}
KINDS: Final = tuple(_KINDS)
"""The lists that can be exported."""

_HIDDEN: Final[Mapping[str, Mapping[str, Callable[[Any], object]]]] = {
    "reports": {"recipient": mask_msisdn},
    "messages": {"recipient": mask_msisdn},
    "replies": {"sender": mask_msisdn},
    "rejected": {},
    "overdue": {"recipient": mask_msisdn},
}
"""What a file without phone numbers has in these columns. The sender's own data, which may repeat one, is left out."""


def check(kind: str, filters: Filters) -> None:
    """Raise FilterError for a filter that this list does not know: the file would have more than was asked for."""
    if strange := sorted(filters.given.keys() - known_filters(kind)):
        raise FilterError(dict.fromkeys(strange, f"{kind} cannot be chosen by this"))


def known_filters(kind: str) -> frozenset[str]:
    """The names of the filters that a list has."""
    return _KINDS[kind].known


@asynccontextmanager
async def exporting(
    reader: Reader, kind: str, filters: Filters, wanted: Format, *, now: datetime, masked: bool, page: int = _PAGE
) -> AsyncIterator[AsyncIterator[Chunk]]:
    """The file, piece by piece. Every row of the period is in it once. Raises ReadError, FilterError.

    `masked`: with phone numbers masked. `page`: rows at a time.
    """
    check(kind, filters)
    query, args = _query(kind, filters, now, BARE if masked else FILE)
    async with reader.stream(query, *args, page=page) as pages:
        yield _chunks(pages, _KINDS[kind].names, wanted, _HIDDEN[kind] if masked else {})


async def expected(reader: Reader, kind: str, filters: Filters, *, now: datetime) -> int | None:
    """How many rows there will be, as the counts by the hour say; None where they do not know. Raises ReadError."""
    counted = kind == "messages" or (kind == "reports" and not is_counted(filters))
    if not counted or filters.is_look_up or filters.sender:
        return None
    totals = await overview.totals(reader, filters, filters.period(now))
    return totals.messages if kind == "messages" else totals.reports


async def about(reader: Reader, kind: str, filters: Filters, *, now: datetime) -> int | None:
    """As `expected`, else as PostgreSQL's planner guesses; None for a look-up, which it cannot. Raises ReadError."""
    counted = await expected(reader, kind, filters, now=now)
    if counted is not None or filters.is_look_up:
        return counted
    query, args = _query(kind, filters, now, BARE)
    (plan,) = json.loads(await reader.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *args))
    return int(plan["Plan"]["Plan Rows"])


def period_of(kind: str, filters: Filters, now: datetime) -> Period:
    """The times between which a list's rows are."""
    since = filters.since or (periods.LOOK_UP if filters.is_look_up else _KINDS[kind].period)
    return periods.period(since, filters.until, now)


def _query(name: str, filters: Filters, now: datetime, spelled: Mapping[str, str]) -> tuple[str, Sequence[object]]:
    kind, where = _KINDS[name], Where()
    source = kind.source(where, filters, period_of(name, filters, now))
    return f"SELECT {columns_of(kind.names, spelled)} FROM {source} WHERE {where} ORDER BY {kind.time}", where.args


async def _chunks(
    pages: AsyncIterator[Sequence[Any]],
    names: Sequence[str],
    wanted: Format,
    hidden: Mapping[str, Callable[[Any], object]],
) -> AsyncIterator[Chunk]:
    encode = encoder(names, wanted)
    hide = [hidden.get(name) for name in names] if hidden else []
    yield Chunk(header(names, wanted), 0)
    async for rows in pages:
        lines = [_hidden(row, hide) for row in rows] if hide else rows
        yield Chunk(encode(lines), len(rows))


def _hidden(row: Sequence[Any], hide: Sequence[Callable[[Any], object] | None]) -> list[object]:
    return [hidden(value) if hidden else value for value, hidden in zip(row, hide, strict=True)]
