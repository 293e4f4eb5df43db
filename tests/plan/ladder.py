"""How far each step goes, what gives first there, and what to do then."""

from typing import Final, NamedTuple

from plan import databases, layout
from plan.assumptions import Assumptions
from plan.costs import Costs
from plan.databases import Traffic
from plan.layout import STEPS
from plan.machines import MACHINES, RECEIVERS, SHARED

BOTH: Final = "CPU of both"
PROCESSES: Final = "receivers' CPU"

ADVICE: Final = {
    BOTH: "give PostgreSQL a machine of its own",
    PROCESSES: "more RECEIVER_WORKERS; with a machine full of them, another receiver behind HAProxy",
    databases.CPU: "a machine with more cores; after the largest, Citus or more of its nodes",
    databases.CONNECTION: "more RECEIVER_WORKERS: more connections that wait side by side; more memory",
    databases.WAL: "a longer checkpoint_timeout and wal_compression; then a faster disk, then Citus, or a node more",
    databases.PAGES: "more memory for the messages' key, or fewer days; then more IOPS, then Citus, or a node more",
    databases.NETWORK: "fewer standbys at this machine (cascade them); then a faster network",
    databases.REPLAY: "one process replays all WAL: Citus, so that each standby has a part",
    databases.DISK: "fewer days of retention, or Citus, or a node more",
}
"""What to do when it gives. The names are those of the resources."""

_LEAST: Final = 1e3
MOST: Final = 1e12
"""Of the last step."""


class Rung(NamedTuple):
    """A step, the most reports a day that it is enough for, and what is full then; None: the next machine would do."""

    step: str
    most_a_day: float
    gives: tuple[str, ...]


def ladder(costs: Costs, assumed: Assumptions) -> list[Rung]:
    """The steps that some rate needs."""
    rungs: list[Rung] = []
    for step in range(len(STEPS)):
        most = _most(costs, assumed, step)
        if most > (rungs[-1].most_a_day if rungs else _LEAST):
            gives = () if most >= MOST else tuple(_full(layout.traffic_of(costs, assumed, most * 1.02), step))
            rungs.append(Rung(STEPS[step], most, gives))
    return rungs


def _most(costs: Costs, assumed: Assumptions, step: int) -> float:
    """The highest rate that needs no step beyond this one, to a hundredth."""
    if step == len(STEPS) - 1:
        return MOST
    low, high = _LEAST, MOST
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        enough = layout.sized(layout.traffic_of(costs, assumed, middle)).step <= step
        low, high = (middle, high) if enough else (low, middle)
    return low


def _full(traffic: Traffic, step: int) -> list[str]:
    """What is not enough of the largest machines of a step."""
    largest = SHARED[-1] if step == 0 else MACHINES[-1]
    found = databases.database(traffic, largest)
    names = [one.name for one in found.resources if one.full > 1]
    if step == 0 and not names:
        return [BOTH]
    if step == 1 and not names and found.writers > RECEIVERS[-1].cores:
        return [PROCESSES]
    return names
