"""Which connections give way, without any connection."""

import time
from dataclasses import dataclass, field

import pytest

from receiver.addresses import Networks
from receiver.server.limiter import BURST, ConnectionLimiter, Limits
from receiver.telemetry.metrics import Ended, Metrics, build

SLOW = 0
OF_ONE_LOOK = 4


@dataclass(eq=False)
class Slow:
    """A connection that may give way at any time."""

    peer: str | None = "192.0.2.1"
    look_s: float = 0.0
    ended: list[Ended] = field(default_factory=list)

    def eviction_priority(self, now: float) -> tuple[int, float]:  # noqa: ARG002 - as `Evictable` has it
        time.sleep(self.look_s)
        return SLOW, 0.0

    def overdue(self, now: float, limits: Limits) -> Ended | None:  # noqa: ARG002 - as `Evictable` has it
        return None

    def end(self, cause: Ended) -> None:
        self.ended.append(cause)


@pytest.fixture
def metrics() -> Metrics:
    return build("0")


def full(metrics: Metrics, connections: int, *first: Slow) -> ConnectionLimiter:
    """So many connections, and those on top that there may be for a moment."""
    limiter = ConnectionLimiter(Limits(head_s=10, read_s=10, connections=connections, trusted=Networks()), metrics)
    most = connections + connections // BURST
    for connection in (*first, *(Slow() for _ in range(most - len(first)))):
        assert limiter.admit(connection, 0.0)
    return limiter


async def test_a_part_of_them_all_can_give_way_between_two_looks(metrics: Metrics) -> None:
    """Looks are rare, for they cost: at thousands of newcomers a second 256 a look were too few."""
    connections = 4_000
    limiter = full(metrics, connections)
    assert [limiter.admit(Slow(), 0.0) for _ in range(connections // OF_ONE_LOOK)] == [True] * (
        connections // OF_ONE_LOOK
    )


async def test_a_look_that_the_machine_held_up_does_not_put_off_the_next(metrics: Metrics) -> None:
    limiter = full(metrics, 256, Slow(look_s=0.2))
    newcomers = [limiter.admit(Slow(), number / 100) for number in range(1, 101) for _ in range(4)]
    assert all(newcomers)
