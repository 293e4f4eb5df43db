"""One search field for numbers, ids and correlations: the meaning of its text."""

from datetime import datetime
from typing import Final

from receiver.reading import messages
from receiver.reading.filters import FilterError, Filters
from receiver.reading.reader import Reader

_MEANINGS: Final = ("message_id", "correlation", "number")
"""Filters that name messages, as they are tried. A text of digits may be any of them; ids are the surest."""


async def meaning(reader: Reader, text: str, filters: Filters, now: datetime) -> Filters | None:
    """The filters with the meaning of the text by which there are messages; None where there are none by any.

    Raises ReadError.
    """
    for wanted in meanings(text, filters):
        page = await messages.listed(reader, wanted, now=now, limit=1)
        if page.rows:
            return wanted
    return None


def meanings(text: str, filters: Filters) -> list[Filters]:
    """The filters that the text fits; not every text is a number."""
    others: dict[str, str | None] = dict.fromkeys(_MEANINGS)
    found = []
    for name in _MEANINGS:
        try:
            found.append(filters.changed(**(others | {name: text})))
        except FilterError:
            continue
    return found
