"""The query of a list's URL, parsed, and the page of a list."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import web

from receiver.catalogue import providers
from receiver.pages.rendering import render
from receiver.pages.site import SITE
from receiver.reading.errors import ReadError
from receiver.reading.export import check, known_filters
from receiver.reading.filters import REASONS, STATUSES, FilterError, Filters
from receiver.reading.paging import Cursor, Page
from receiver.reading.reader import Reader

_PERIODS: Final = (("1h", "1 hour"), ("24h", "24 hours"), ("3d", "3 days"), ("7d", "7 days"), ("30d", "30 days"))
"""Periods that are one click away."""

_CONTROL: Final = dict.fromkeys(range(32), " ")
"""Control characters: no field of a form has them, and no page can show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The query of a list's URL. `problems` has a sentence for each filter that is wrong; then nothing is read."""

    path: str
    given: Mapping[str, str]
    filters: Filters
    older: Cursor | None
    problems: Mapping[str, str]
    now: datetime

    @classmethod
    def of(cls, request: web.Request) -> "Asked":
        """From a request; never raises."""
        given = {name: text.translate(_CONTROL).strip() for name, text in request.query.items()}
        problems: dict[str, str] = {}
        filters, older = Filters(), None
        try:
            filters = Filters.parse(given)
            check(request.path.removeprefix("/"), filters)
        except FilterError as error:
            problems |= error.problems
        try:
            older = Cursor.parse(given.get("older"))
        except FilterError as error:
            problems |= error.problems
        return cls(
            path=request.path, given=given, filters=filters, older=older, problems=problems, now=datetime.now(UTC)
        )

    def value(self, name: str) -> str:
        """The filter as it was written."""
        return self.given.get(name, "")

    def problem(self, name: str) -> str | None:
        """The sentence for a filter that is wrong."""
        return self.problems.get(name)

    @property
    def others(self) -> list[str]:
        """Problems without a field in the form: of the cursor, and of filters that the list does not have."""
        known = known_filters(self.path.removeprefix("/"))
        return [f"{name}: {said}" for name, said in self.problems.items() if name not in known]

    def periods(self, default: str) -> list["PeriodLink"]:
        """The links to other periods; `default` is the list's where none is named."""
        chosen = None if self.filters.until else self.filters.since or default
        return [
            PeriodLink(label, self.filters.link(self.path, since=text, until=None), text == chosen)
            for text, label in _PERIODS
        ]

    def link(self, **changes: str | None) -> str:
        """This list with other filters."""
        return self.filters.link(self.path, **changes)

    @property
    def csv(self) -> str:
        """This list as a file."""
        return self.filters.link(f"{self.path}.csv")


class PeriodLink(NamedTuple):
    """A link to the list of another period."""

    label: str
    href: str
    current: bool


class Seen(NamedTuple):
    """The contents of a list's page: its rows, or why there are none."""

    page: Page[Any] | None
    problem: str | None
    status: HTTPStatus

    @classmethod
    def failed(cls, error: ReadError) -> "Seen":
        """Nothing, for this reason."""
        return cls(None, str(error), HTTPStatus.SERVICE_UNAVAILABLE)

    @classmethod
    def empty(cls) -> "Seen":
        """There is nothing of the kind."""
        return cls(Page([], None), None, HTTPStatus.OK)


List = Callable[[Reader, Asked], Awaitable[Page[Any]]]
"""Reads a page of a list. Raises ReadError."""


async def seen(request: web.Request, asked: Asked, read: List) -> Seen:
    """The rows that are asked for."""
    if asked.problems:
        return Seen(None, None, HTTPStatus.BAD_REQUEST)
    try:
        return Seen(await read(request.app[SITE].reader, asked), None, HTTPStatus.OK)
    except ReadError as error:
        return Seen.failed(error)


async def show_list(request: web.Request, template: str, read: List, **more: object) -> web.Response:
    """The page of a list. The form stays as it was filled in, also after an error."""
    asked = Asked.of(request)
    found = await seen(request, asked, read)
    return show(request, template, asked, found, **more)


def show(request: web.Request, template: str, asked: Asked, found: Seen, **more: object) -> web.Response:
    """The page of a list with these rows."""
    context = {
        "asked": asked,
        "page": found.page,
        "rows": found.page.rows if found.page else [],
        "problem": found.problem,
        "providers": providers(),
        "statuses": STATUSES,
        "reasons": REASONS,
        **more,
    }
    response = render(request, template, context)
    response.set_status(found.status)
    return response
