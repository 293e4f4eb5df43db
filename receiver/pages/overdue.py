"""`/overdue`: messages whose end should have been told by now."""

from itertools import pairwise
from typing import Final, NamedTuple

from aiohttp import web

from receiver.pages.asked import Asked, seen, show
from receiver.pages.site import SITE
from receiver.reading import lateness, lists
from receiver.reading.errors import ReadError
from receiver.reading.filters import Filters
from receiver.reading.lateness import AGES
from receiver.reading.lists import MAX_OVERDUE
from receiver.reading.paging import Page
from receiver.reading.reader import Reader
from receiver.reading.rows import Overdue

_PATH: Final = "/overdue"
_OLDEST: Final = "366d"


class Count(NamedTuple):
    """Overdue messages of a platform and an age, and the list of them."""

    messages: int
    href: str


async def overdue(request: web.Request) -> web.Response:
    """The counts by platform and age stand above the list, independent of its filters."""
    asked = Asked.of(request)
    found = await seen(request, asked, _read)
    try:
        counts = await lateness.by_age(request.app[SITE].reader)
    except ReadError as error:
        counts = {}
        found = found._replace(problem=found.problem or str(error))
    table = {name: _linked(name, numbers) for name, numbers in counts.items()}
    total = sum(map(sum, counts.values()))
    return show(request, "overdue.html", asked, found, counts=table, total=total, most=MAX_OVERDUE, ages=_labels())


async def _read(reader: Reader, asked: Asked) -> Page[Overdue]:
    return await lists.overdue(reader, asked.filters, now=asked.now, older=asked.older)


def _linked(provider: str, numbers: list[int]) -> list[Count]:
    ends = [name for name, _ in AGES]
    spans = zip([*ends, _OLDEST], [None, *ends], numbers, strict=True)
    return [
        Count(number, Filters.parse({"provider": provider}).link(_PATH, since=since, until=until))
        for since, until, number in spans
    ]


def _labels() -> list[str]:
    ends = [name for name, _ in AGES]
    between = [f"{younger}–{older}" for younger, older in pairwise(ends)]
    return [f"under {ends[0]}", *between, f"over {ends[-1]}"]
