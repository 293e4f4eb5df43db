"""The lifecycles of made-up messages: events in the order in which a platform would report them. Pure and seeded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count, islice
from random import Random
from typing import Final
from uuid import UUID

from receiver.simulate.dialects.base import Dialect, Event, Stage, choose

LIFETIME: Final = timedelta(seconds=30)
"""A message's last report comes at most so long after it was sent."""

_USUAL_DELAY_S: Final = 4.0
_MIN_SPACING_S: Final = 0.01
"""Between two reports, so that the messages that are alive at once stay few however fast the reports are sent."""

_LATE: Final = 0.1
"""The share of reports that come out of order, in traffic that is shuffled."""

_FAIL_TOGETHER: Final = 0.7
"""How often another segment of a failed message fails too."""

_CORRELATED: Final = 0.3
"""The share of messages with a correlation text of the sender's."""

_NUMBERS: Final = (
    ((86, "1550000", 4), 60),
    ((852, "6100", 4), 14),
    ((65, "8100", 4), 10),
    ((1, "20255501", 2), 8),
    ((61, "49157", 4), 8),
)
"""((country calling code, first digits, digits to make up), weight): valid to look at, and nobody's on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The traffic to make: `count` reports, the last of them at `ends_at`, one each `spacing_s`; shares in [0, 1].

    `failures` and `long` are shares of messages, `duplicates` of reports; `malformed`, `replies` and `batches` of
    requests.
    """

    seed: int
    count: int
    ends_at: datetime
    spacing_s: float = _MIN_SPACING_S
    failures: float = 0.1
    long: float = 0.1
    duplicates: float = 0.02
    malformed: float = 0.01
    replies: float = 0.01
    batches: float = 0.5
    batch_size: int = 20
    shuffle: bool = True


@dataclass(frozen=True, slots=True)
class Emission:
    """An event to push, and whether it was pushed before."""

    event: Event
    again: bool


def emissions(dialect: Dialect, plan: Plan) -> Iterator[Emission]:
    """Exactly `plan.count` of them. Times are such that none lies in the future when it is sent at its pace."""
    rng = Random(plan.seed)  # noqa: S311  # to be repeated, not to be secret
    spacing = timedelta(seconds=max(plan.spacing_s, _MIN_SPACING_S))
    begins_at = plan.ends_at - LIFETIME - plan.count * spacing
    serials = count(1)
    waiting: list[tuple[datetime, int, Emission]] = []
    planned = 0
    while planned < plan.count:
        now = begins_at + planned * spacing
        lifecycle = _lifecycle(rng, dialect, plan, now, serials)
        for due, emission in islice(lifecycle, plan.count - planned):
            planned += 1
            heappush(waiting, (due, planned, emission))
        while waiting and waiting[0][0] <= now:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


def _lifecycle(
    rng: Random, dialect: Dialect, plan: Plan, sent_at: datetime, serials: Iterator[int]
) -> Iterator[tuple[datetime, Emission]]:
    """Every emission about one message and when it is due: perhaps twice, perhaps late."""
    for event in _events(rng, dialect, plan, sent_at, serials):
        late = plan.shuffle and rng.random() < _LATE
        due = event.happened_at + timedelta(seconds=rng.uniform(1, LIFETIME.total_seconds()) if late else 0)
        yield due, Emission(event, again=False)
        if rng.random() < plan.duplicates:
            yield due + timedelta(seconds=rng.uniform(0, 5)), Emission(event, again=True)


def _events(rng: Random, dialect: Dialect, plan: Plan, sent_at: datetime, serials: Iterator[int]) -> Iterator[Event]:
    """The states of each segment of one message."""
    message = _message(rng, sent_at)
    segments = rng.randint(2, 6) if dialect.segmented and rng.random() < plan.long else 1
    doomed = rng.randint(1, segments) if rng.random() < plan.failures else None
    reported_early = rng.random() < dialect.interim
    for segment in range(1, segments + 1):
        # One failed segment makes the message failed, and most often the others fail with it.
        failed = segment == doomed or (doomed is not None and rng.random() < _FAIL_TOGETHER)
        delay = min(1 + rng.expovariate(1 / _USUAL_DELAY_S), LIFETIME.total_seconds())
        steps: list[tuple[Stage, float]] = [("failed" if failed else "delivered", delay)]
        if reported_early:
            steps.insert(0, ("interim", rng.uniform(0, delay)))
        for stage, after in steps:
            yield replace(
                message,
                serial=next(serials),
                stage=stage,
                pick=rng.random(),
                happened_at=sent_at + timedelta(seconds=after),
                segment=segment,
                segments=segments,
            )


def _message(rng: Random, sent_at: datetime) -> Event:
    """The fields that all events of one message share."""
    country_code, prefix, digits = choose(_NUMBERS, rng.random())
    return Event(
        message=UUID(int=rng.getrandbits(128), version=4),
        serial=0,
        stage="interim",
        pick=0.0,
        happened_at=sent_at,
        country_code=country_code,
        national=prefix + f"{rng.randrange(10**digits):0{digits}d}",
        extend=f"order={rng.randrange(10**6)}&shop={rng.randrange(100)}" if rng.random() < _CORRELATED else None,
    )
