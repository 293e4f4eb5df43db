"""The questions of the overview to PostgreSQL, each by itself: one that takes too long does not hide the others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

from receiver.reading import lists, overview, times
from receiver.reading.errors import ReadError, ReadTooSlow
from receiver.reading.filters import Filters
from receiver.reading.periods import DAY
from receiver.reading.reader import Reader
from receiver.reading.times import DeliveryTimes, Recent

T = TypeVar("T")
V_co = TypeVar("V_co", covariant=True)

AT_ONCE: Final = 3
"""Questions of all overviews at a time: the reader has four connections, and other pages want one too."""

_LONGEST_COMPARED: Final = timedelta(days=93)
"""The time before a longer period may be dropped already, and takes as long to count."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[V_co]):
    """A part, or the sentence that says why it cannot be had."""

    value: V_co | None
    problem: str | None = None
    passing: bool = False
    """Whether the problem may be over at any moment, as it is not the question's own."""


class Before(NamedTuple):
    """An earlier period of the same length, and how it went."""

    label: str
    totals: overview.Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The parts of the overview. `recent` is of all platforms and countries, and `rejected` of all countries."""

    at: datetime
    counts: Answer[overview.Counts]
    before: Answer[list[Before]]
    times: Answer[DeliveryTimes]
    codes: Answer[list[overview.FailedCode]]
    recent: Answer[Recent]
    overdue: Answer[list[lists.OverdueCount]]
    rejected: Answer[int]

    @property
    def problems(self) -> list[str]:
        """Each sentence once."""
        return list(dict.fromkeys(part.problem for part in self._parts if part.problem))

    @property
    def lasts(self) -> bool:
        """Whether asking again at once would give the same."""
        return not any(part.passing for part in self._parts)

    @property
    def _parts(self) -> tuple[Answer[object], ...]:
        return (self.counts, self.before, self.times, self.codes, self.recent, self.overdue, self.rejected)

    @property
    def is_first_visit(self) -> bool:
        """Whether PostgreSQL answers and has nothing of the last month."""
        counts, recent = self.counts.value, self.recent.value
        return counts is not None and recent is not None and not (counts.totals.messages or recent.last)


async def figures(
    reader: Reader, filters: Filters, now: datetime, places: asyncio.Semaphore, deadline_s: float
) -> Figures:
    """All parts, asked side by side within these places. A part without an answer in time has a problem."""
    ends_at = asyncio.get_running_loop().time() + deadline_s
    of_the_period = filters.changed(since=filters.since or DAY)  # the list of rejected payloads has a longer one

    async def answer(ask: Callable[[], Awaitable[T]]) -> Answer[T]:
        try:
            async with asyncio.timeout_at(ends_at), places:
                return Answer(await ask())
        except ReadError as error:
            return Answer(None, str(error), passing=not isinstance(error, ReadTooSlow))
        except TimeoutError:
            return Answer(None, f"PostgreSQL has not told everything within {deadline_s:g} seconds", passing=True)

    async with asyncio.TaskGroup() as asking:
        counts = asking.create_task(answer(partial(overview.counts, reader, filters, now=now)))
        before = asking.create_task(answer(partial(_before, reader, filters, now)))
        delivery = asking.create_task(answer(partial(times.delivery_times, reader, filters, now=now)))
        codes = asking.create_task(answer(partial(overview.failed_codes, reader, filters, now=now, limit=10)))
        recent = asking.create_task(answer(partial(times.recent, reader, now=now)))
        overdue = asking.create_task(answer(partial(lists.overdue_counts, reader)))
        rejected = asking.create_task(answer(partial(lists.rejected_count, reader, of_the_period, now=now)))
    return Figures(
        at=now,
        counts=counts.result(),
        before=before.result(),
        times=delivery.result(),
        codes=codes.result(),
        recent=recent.result(),
        overdue=overdue.result(),
        rejected=rejected.result(),
    )


async def _before(reader: Reader, filters: Filters, now: datetime) -> list[Before]:
    """A day is compared with the one before, up to a week with the week before. Raises ReadError."""
    period = filters.period(now)
    length = period.until - period.since
    earlier = {}
    if length <= overview.DAY:
        earlier["the day before"] = overview.DAY
    if length <= overview.WEEK:
        earlier["the week before"] = overview.WEEK
    elif length <= _LONGEST_COMPARED:
        earlier["the same time before"] = length
    return [
        Before(label, await overview.totals(reader, filters, period.moved(back))) for label, back in earlier.items()
    ]
