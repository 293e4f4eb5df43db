"""A day in steps of ten seconds: what comes, what PostgreSQL takes, and what waits in the spool."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from plan.assumptions import HOURS, RETENTION_HOURS, Assumptions

STEP_S: Final = 10
_HOUR: Final = 3600 // STEP_S
_CAMPAIGN: Final = 600 // STEP_S


@cache
def arrivals(assumed: Assumptions) -> tuple[float, ...]:
    """Reports a second in each step, of one report a day."""
    rates = [rate / 86_400 for mean in HOURS for rate in _hour(mean, assumed.campaign)]
    begin = assumed.outage_hour * _HOUR
    held = [rate * assumed.outage_share for rate in rates[begin : begin + _HOUR]]
    steps = max(1, round(assumed.catch_up_min * 60 / STEP_S))
    for at, kept_back in enumerate(held, begin):
        rates[at] -= kept_back
    for at in range(begin + _HOUR, begin + _HOUR + steps):
        rates[at] += sum(held) / steps
    return tuple(rates)


def _hour(mean: float, campaign: float) -> list[float]:
    """An hour's steps: a campaign at its beginning, and less for the rest, with the same sum."""
    rest = (_HOUR - campaign * _CAMPAIGN) / (_HOUR - _CAMPAIGN)
    return [mean * campaign] * _CAMPAIGN + [mean * rest] * (_HOUR - _CAMPAIGN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Reports a second: what PostgreSQL takes, how many less while retention runs, and what the receivers drain."""

    database_s: float
    retention_s: float
    drain_s: float


@dataclass(frozen=True, slots=True)
class Hour:
    """Reports a second, PostgreSQL's share in use at the most, and the spool at its largest."""

    hour: int
    mean_s: float
    most_s: float
    busy: float
    spooled: float


@dataclass(frozen=True, slots=True)
class Day:
    """In reports. `drain_s` is how long the spool takes to be empty again after the failover."""

    hours: Sequence[Hour]
    arrived: float
    stored: float
    waiting: float
    spool: float
    drain_s: float


def simulate(assumed: Assumptions, rates: Sequence[float], limits: Limits) -> Day:
    """A day with a failover that begins at its busiest step; what PostgreSQL does not take waits in the spool."""
    worst = max(range(len(rates)), key=rates.__getitem__)
    back = worst + assumed.failover_s / STEP_S
    waiting = stored = spool = 0.0
    drained_at, seen = back, []
    for at, rate in enumerate(rates):
        away = min(1.0, max(0.0, back - at)) if at >= worst else 0.0
        removing = limits.retention_s if at // _HOUR in RETENTION_HOURS else 0.0
        room = (limits.database_s - removing) * (1 - away)
        live = min(rate, room) if not away else min(rate * (1 - away), room)
        drained = min(waiting / STEP_S, limits.drain_s * (1 - away), room - live)
        waiting += (rate - live - drained) * STEP_S
        stored += (live + drained) * STEP_S
        spool = max(spool, waiting)
        if waiting > 1e-6 * spool:
            drained_at = max(drained_at, at + 1.0)
        seen.append(((live + drained + removing) / limits.database_s, waiting))
    return Day(
        hours=[_told(hour, rates, seen) for hour in range(24)],
        arrived=sum(rates) * STEP_S,
        stored=stored,
        waiting=waiting,
        spool=spool,
        drain_s=(drained_at - back) * STEP_S,
    )


def _told(hour: int, rates: Sequence[float], seen: Sequence[tuple[float, float]]) -> Hour:
    steps = slice(hour * _HOUR, (hour + 1) * _HOUR)
    busy, waiting = zip(*seen[steps], strict=True)
    return Hour(hour, sum(rates[steps]) / _HOUR, max(rates[steps]), max(busy), max(waiting))
