"""The charts of the overview, made of its figures."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from markupsafe import Markup

from receiver.pages.charts import Chart, Series
from receiver.pages.figures import Figures
from receiver.pages.rendering import duration, grouped, percent
from receiver.reading.counted import whole_hours
from receiver.reading.filters import FAILED, UNDER_WAY, Filters
from receiver.reading.overview import DAY, Counts, Step, Totals
from receiver.reading.periods import Period
from receiver.reading.times import Recent, Times

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_STEPS: Final = (*(hours * _HOUR for hours in (1, 2, 3, 6, 12)), *(days * DAY for days in (1, 7, 28)))
_ORIGIN: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""A Monday, and midnight: weeks begin with Monday."""

_MOST: Final = 54
"""Steps of a course: the weeks of a year, and some for its ends."""

_FEWEST: Final = 4
"""Steps of a course; fewer say nothing that the figures do not."""

URL_TIME: Final = "%Y-%m-%dT%H:%MZ"

_BINS_S: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 43_200, 86_400, 259_200)
"""Upper ends, in seconds, of the bars of delivery times."""


class Drawn(NamedTuple):
    """A chart and its drawing."""

    chart: Chart
    svg: Markup


class Charts(NamedTuple):
    """Those that there are figures for."""

    messages: Drawn | None = None
    rate: Drawn | None = None
    minutes: Drawn | None = None
    times: Drawn | None = None


def drawn(found: Figures, filters: Filters) -> Charts:
    """All of them: some 0.1 s of work, so not for the event loop."""
    counts, recent, delivery = found.counts.value, found.recent.value, found.times.value
    everything = not (filters.provider or filters.country)
    if counts and len(counts.series) < _FEWEST:
        counts = None
    return Charts(
        messages=_drawn(messages(counts, filters)) if counts else None,
        rate=_drawn(rate(counts, filters)) if counts else None,
        minutes=_drawn(minutes(recent)) if recent and everything else None,
        times=_drawn(delivery_times(delivery.whole)) if delivery and delivery.whole else None,
    )


def _drawn(chart: Chart) -> Drawn:
    return Drawn(chart, Markup("") if chart.is_empty else chart.svg())


def messages(counts: Counts, filters: Filters) -> Chart:
    """Messages by state, by the hour of their first report or submission."""
    steps, length = merged(counts)
    spans = _spans(counts, steps, length)

    def series(name: str, kind: str, status: str, values: Iterable[int]) -> Series:
        links = [_link("/messages", filters, span, status=status) for span in spans]
        return Series(name, kind, list(values), links)

    return Chart(
        title=f"Messages {_each(length)}",
        labels=[_label(step.at, length) for step in steps],
        ticks=[_tick(step.at, counts) for step in steps],
        series=[
            series("delivered", "good", "delivered", (step.totals.delivered for step in steps)),
            series("failed", "bad", FAILED, (step.totals.failed for step in steps)),
            # A sum of signed counts that are not folded yet may pass zero for a moment.
            series("under way", "flow", UNDER_WAY, (max(0, step.totals.under_way) for step in steps)),
        ],
        shown=grouped,
    )


def rate(counts: Counts, filters: Filters) -> Chart:
    """The share of the delivered among the messages with an end."""
    steps, length = merged(counts)
    links = [_link("/messages", filters, span, status=FAILED) for span in _spans(counts, steps, length)]
    return Chart(
        title="Delivery rate",
        labels=[_label(step.at, length) for step in steps],
        ticks=[_tick(step.at, counts) for step in steps],
        series=[Series("delivered", "good", [step.totals.rate for step in steps], links)],
        shown=percent,
        marked="{:.0%}".format,
        lines=True,
        most=1.0,
    )


def minutes(recent: Recent) -> Chart:
    """The reports of the last hour; the minute that is not over yet is left out."""
    whole = recent.minutes[:-1][-60:]
    links = [_link("/reports", Filters(), Period(one.at, one.at + _MINUTE)) for one in whole]
    return Chart(
        title="Reports a minute, the last hour",
        labels=[f"{one.at:%H:%M}" for one in whole],
        ticks=[f"{one.at:%H:%M}" for one in whole],
        series=[Series("reports", "flow", [one.reports for one in whole], links)],
        shown=grouped,
    )


def delivery_times(times: Times) -> Chart:
    """How many deliveries took how long."""
    bins = list(_binned(times))
    return Chart(
        title="From submission to delivery",
        labels=[f"up to {duration(end)}" for end, _ in bins],
        ticks=[duration(end) for end, _ in bins],
        series=[Series("messages", "flow", [number for _, number in bins])],
        shown=grouped,
    )


def _binned(times: Times) -> Iterator[tuple[float, int]]:
    slowest = times.histogram[-1][0]
    last = next((number for number, end in enumerate(_BINS_S) if end >= slowest), len(_BINS_S))
    ends: Sequence[float] = _BINS_S[: last + 1] if last < len(_BINS_S) else (*_BINS_S, slowest)
    least = 0.0
    for end in ends:
        yield end, sum(number for seconds, number in times.histogram if least < seconds <= end)
        least = end


def merged(counts: Counts) -> tuple[list[Step], timedelta]:
    """The series in steps of a length that a chart has room for."""
    whole = counts.period.until - counts.period.since
    length = next((step for step in _STEPS if step >= counts.step and whole / step < _MOST), _STEPS[-1])

    def place(step: Step) -> datetime:
        return _ORIGIN + (step.at - _ORIGIN) // length * length

    groups = [(at, [step.totals for step in steps]) for at, steps in groupby(counts.series, key=place)]
    return [Step(at, Totals(*map(sum, zip(*totals, strict=True)))) for at, totals in groups], length


def _spans(counts: Counts, steps: Iterable[Step], length: timedelta) -> list[Period]:
    """The times that are counted in each step: the first and the last may be cut off by the period."""
    since, until = whole_hours(counts.period)
    return [Period(max(step.at, since), min(step.at + length, until)) for step in steps]


def _link(path: str, filters: Filters, span: Period, **more: str) -> str:
    return filters.link(path, since=f"{span.since:{URL_TIME}}", until=f"{span.until:{URL_TIME}}", **more)


def _label(at: datetime, length: timedelta) -> str:
    if length < DAY:
        return f"{at:%Y-%m-%d %H:%M}"
    return f"{at:%Y-%m-%d}" if length == DAY else f"{length.days} days from {at:%Y-%m-%d}"


def _tick(at: datetime, counts: Counts) -> str:
    whole = counts.period.until - counts.period.since
    if whole <= 2 * DAY:
        return f"{at:%H:%M}"
    return f"{at.day} {at:%b}" if whole <= 200 * DAY else f"{at:%b %Y}"


def _each(length: timedelta) -> str:
    if length == _HOUR:
        return "an hour"
    if length < DAY:
        return f"in {length // _HOUR} hours"
    return {DAY: "a day", 7 * DAY: "a week"}.get(length, f"in {length.days} days")
