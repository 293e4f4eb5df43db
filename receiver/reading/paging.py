"""Pages of a list in order of time: a cursor in the URL says where the next one begins."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, NamedTuple, Self, TypeVar

from receiver.reading.filters import FilterError
from receiver.reading.periods import FIRST, LAST

T = TypeVar("T")

LIMIT: Final = 100
MAX_LIMIT: Final = 500

_CURSOR: Final = re.compile(r"(\d{8}T\d{12})\.(\d{1,6})", re.ASCII)
_FORMAT: Final = "%Y%m%dT%H%M%S%f"


class Cursor(NamedTuple):
    """The time of the last row that was shown, and how many rows of exactly this time were.

    It names no row, as that would take a phone number: a platform's id may span recipients.
    """

    at: datetime
    skip: int

    def __str__(self) -> str:
        """As it stands in a URL."""
        return f"{self.at.astimezone(UTC):{_FORMAT}}.{self.skip}"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Raises FilterError."""
        if not text:
            return None
        found = _CURSOR.fullmatch(text)
        with suppress(ValueError):
            at = datetime.strptime(found[1] if found else "", _FORMAT).replace(tzinfo=UTC)
            if found and FIRST <= at <= LAST:
                return cls(at, int(found[2]))
        raise FilterError({"older": "is no place in this list: begin at its start"})


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in the list's order; `older` is the cursor of the next page, None where there is none.

    `searched_since`: the search took too long to go further back than this; `older` goes on from there.
    """

    rows: list[T]
    older: Cursor | None
    searched_since: datetime | None = None


def latest_of(query: str, time: str, ties: Iterable[str], skip: str, most: str, *, spread: bool) -> str:
    """The query's latest rows in a settled order; `skip` and `most` are the places of their arguments.

    They are taken in the order of the time's index, with all of the last one's moment, before they are sorted: from a
    wrong estimate PostgreSQL would sort everything. `spread`: over the nodes of Citus, which leaves out rows of that
    moment without a word where it wraps a view's query (13.2); there each shard sorts its own.
    """
    order = ", ".join((f"{time} DESC", *ties))
    latest = f"{query} ORDER BY {time} DESC FETCH FIRST ({skip}::bigint + {most}::bigint) ROWS WITH TIES"
    return f"SELECT * FROM ({query if spread else latest}) AS latest ORDER BY {order} OFFSET {skip} LIMIT {most}"


def limited(limit: int) -> int:
    """Rows of a page: from 1 to `MAX_LIMIT`."""
    return max(1, min(limit, MAX_LIMIT))


def page_of(found: list[T], times: list[datetime], limit: int, cursor: Cursor | None) -> Page[T]:
    """The page of `limit` rows, of up to one more that were found after the cursor."""
    rows = found[:limit]
    if len(found) <= limit:
        return Page(rows, None)
    at = times[limit - 1]
    skip = sum(1 for time in times[:limit] if time == at)
    if cursor is not None and cursor.at == at:
        skip += cursor.skip
    return Page(rows, Cursor(at, skip))
