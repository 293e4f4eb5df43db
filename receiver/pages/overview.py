"""`/`: is it well, and how does it go: rates, failures, times of a period, each with a link to the list behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web

from receiver.pages import health
from receiver.pages.figures import AT_ONCE, Figures, figures
from receiver.pages.overview_charts import URL_TIME, Charts, drawn
from receiver.pages.rendering import render
from receiver.pages.sharing import Shared
from receiver.pages.site import SITE, Site
from receiver.providers import PROVIDERS
from receiver.reading import standby
from receiver.reading.counted import whole_hours
from receiver.reading.errors import ReadError
from receiver.reading.filters import FilterError, Filters
from receiver.reading.lists import OverdueCount
from receiver.reading.overview import Totals
from receiver.reading.periods import DAY, Period
from receiver.reading.standby import Behind
from receiver.welcome import example_call, typed

PERIODS: Final = (
    ("1h", "1 hour"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("365d", "a year"),
)
"""For a click; any other is typed in."""

_DEADLINE_S: Final = 20.0
_AWAY_DEADLINE_S: Final = 3.0
"""For the figures, if PostgreSQL does not take reports: it may not answer at all."""

_FRESH_S: Final = ((timedelta(days=1), 5.0), (timedelta(days=8), 30.0), (timedelta(days=800), 60.0))
"""For how long figures of periods up to this length are shown again."""

_USED: Final = ("since", "until", "provider", "country")
_MOST_GROUPS: Final = 12
_FALL: Final = 0.02
"""A delivery rate that has fallen by so much is marked."""


class Seen(NamedTuple):
    """One answer, shared by all viewers of the same filters."""

    figures: Figures
    charts: Charts
    behind: Behind | None


class Comparison(NamedTuple):
    """An earlier period: its rate, and how much higher it is now, as shares; None where unknown."""

    label: str
    rate: float | None
    difference: float | None


SHARED: Final[web.AppKey[Shared[Seen]]] = web.AppKey("overview", Shared[Seen])
_PLACES: Final = web.AppKey("overview_places", asyncio.Semaphore)


async def sharing(app: web.Application) -> AsyncIterator[None]:
    """Cleanup context: the answers that viewers share."""
    app[SHARED] = Shared(lasts=lambda seen: seen.figures.lasts)
    app[_PLACES] = asyncio.Semaphore(AT_ONCE)
    yield
    await app[SHARED].close()


async def show(request: web.Request) -> web.Response:
    """Without PostgreSQL the page has its health part and the service's own counts."""
    site, wrong = request.app[SITE], {}
    try:
        filters = Filters.parse({name: request.query.get(name, "") for name in _USED})
    except FilterError as error:
        filters, wrong = Filters(), error.problems
    state = await health.state(site)
    is_away = not (state.health.database or state.reads_elsewhere)
    seen = await _seen(request.app, filters, _AWAY_DEADLINE_S if is_away else _DEADLINE_S)
    context = _context(site, filters, seen, wrong)
    return render(request, "overview.html", context | {"state": state, "last": _last_reports(state, seen.figures)})


async def _seen(app: web.Application, filters: Filters, deadline_s: float) -> Seen:
    now = datetime.now(UTC)

    async def ask() -> Seen:
        site = app[SITE]
        found, behind = await asyncio.gather(
            figures(site.reader, filters, now, app[_PLACES], deadline_s), _behind(site, deadline_s)
        )
        return Seen(found, await asyncio.to_thread(drawn, found, filters), behind)

    period = filters.period(now)
    fresh_s = next(fresh_s for most, fresh_s in _FRESH_S if period.until - period.since <= most)
    return await app[SHARED].get(filters, ask, fresh_s)


async def _behind(site: Site, deadline_s: float) -> Behind | None:
    """The delay of a standby that is read; None too if it does not answer, of which the figures tell."""
    if site.settings.read_database_url is None:
        return None
    try:
        async with asyncio.timeout(deadline_s):
            return await standby.behind(site.reader.fetch)
    except (ReadError, TimeoutError):
        return None


def _context(site: Site, filters: Filters, seen: Seen, wrong: Mapping[str, str]) -> dict[str, object]:
    found = seen.figures
    counts, delivery, overdue = found.counts.value, found.times.value, _overdue(found, filters)
    chosen = filters.since or DAY
    before = _compared(counts.totals, found) if counts else []
    period = _whole_hours(filters, found.at)
    return {
        "filters": filters,
        "wrong": wrong,
        "problems": found.problems,
        "chosen": chosen if filters.until is None else None,
        "periods": [(since, label, filters.link("/", since=since, until=None)) for since, label in PERIODS],
        "platforms": [provider.name for provider in PROVIDERS],
        "command": typed(),
        "period": period,
        "behind": _list_behind(filters, period),
        "until_now": filters.until is None,
        "counts": counts,
        "totals": counts.totals if counts else None,
        "before": before,
        "has_fallen": any(one.difference is not None and one.difference <= -_FALL for one in before),
        "providers": counts.providers[:_MOST_GROUPS] if counts else [],
        "countries": counts.countries[:_MOST_GROUPS] if counts else [],
        "more_countries": max(0, len(counts.countries) - _MOST_GROUPS) if counts else 0,
        "reasons": counts.reasons[:_MOST_GROUPS] if counts else [],
        "codes": found.codes.value or [],
        "times": delivery,
        "knows_last": found.recent.value is not None,
        "overdue": sum(one.messages for one in overdue) if overdue is not None else None,
        "oldest_overdue": min((one.oldest for one in overdue or ()), default=None),
        "rejected": found.rejected.value,
        "charts": seen.charts,
        "behind_primary": seen.behind,
        "first_visit": found.is_first_visit,
        "listens": site.callbacks is not None,
        "example": example_call(site.settings, site.callbacks) if site.callbacks else [],
    }


def _overdue(found: Figures, filters: Filters) -> list[OverdueCount] | None:
    """The present overdue messages of the filters' platform; the period does not count."""
    if found.overdue.value is None:
        return None
    return [one for one in found.overdue.value if filters.provider in (None, one.provider)]


def _whole_hours(filters: Filters, now: datetime) -> Period:
    """The period as it is counted, until now where no end is named."""
    period = filters.period(now)
    whole = whole_hours(period)
    return whole if filters.until else Period(whole.since, period.until)


def _list_behind(filters: Filters, period: Period) -> Callable[..., str]:
    """Makes the URLs of lists of messages with exactly those that are counted; takes further filters."""
    until = f"{period.until:{URL_TIME}}" if filters.until else None
    return partial(filters.link, "/messages", since=f"{period.since:{URL_TIME}}", until=until)


def _compared(now: Totals, found: Figures) -> list[Comparison]:
    earlier = found.before.value or ()
    return [Comparison(one.label, one.totals.rate, _difference(now.rate, one.totals.rate)) for one in earlier]


def _difference(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then


def _last_reports(state: health.State, found: Figures) -> list[tuple[str, datetime | None]]:
    """By platform, the later of the last report that this service has stored and the last one in PostgreSQL."""
    now = datetime.now(UTC)  # the figures may be minutes old
    seen = {name: now - timedelta(seconds=age) for name, age in state.last_report_ages.items()}
    for one in found.recent.value.last if found.recent.value else ():
        seen[one.provider] = max(one.at, seen.get(one.provider, one.at))
    return [(provider.name, seen.get(provider.name)) for provider in PROVIDERS]
