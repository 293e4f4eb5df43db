"""Which connections give way, which are turned away and which are ended, without any connection."""

import asyncio
from dataclasses import dataclass, field

from support.virtual_time import in_virtual_time, now

from receiver.addresses import Networks
from receiver.server.limiter import BURST, ConnectionLimiter, Evictable, Limits
from receiver.telemetry.metrics import Ended, Metrics

OF_ONE_LOOK = 4
SILENT, WAITING = 0, 1
"""Ranks: the first to give way, and those behind them."""


class Cpu:
    """A clock of the processor's time: `look_s` for each look at all connections."""

    def __init__(self, look_s: float = 0.0) -> None:
        self._look_s = look_s
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._look_s
        return self._now


@dataclass(eq=False)
class Connection:
    """`rank` None: at work on a request."""

    rank: int | None = SILENT
    since: float = 0.0
    peer: str | None = "192.0.2.1"
    late: Ended | None = None
    ended: list[Ended] = field(default_factory=list)

    def is_busy(self) -> bool:
        return self.rank is None

    def eviction_priority(self, now: float) -> tuple[int, float] | None:  # noqa: ARG002 - as `Evictable` has it
        return None if self.rank is None else (self.rank, self.since)

    def overdue(self, now: float, limits: Limits) -> Ended | None:  # noqa: ARG002 - as `Evictable` has it
        return self.late

    def end(self, cause: Ended) -> None:
        self.ended.append(cause)


def limiter(metrics: Metrics, connections: int, *, cpu: Cpu | None = None, **changes: object) -> ConnectionLimiter:
    limits = Limits(**({"head_s": 10, "read_s": 10, "connections": connections, "trusted": Networks()} | changes))
    return ConnectionLimiter(limits, metrics, cpu or Cpu())


def full(metrics: Metrics, connections: int, *first: Evictable, cpu: Cpu | None = None) -> ConnectionLimiter:
    """So many connections, and those on top that there may be for a moment."""
    made = limiter(metrics, connections, cpu=cpu)
    most = connections + connections // BURST
    for connection in (*first, *(Connection() for _ in range(most - len(first)))):
        assert made.admit(connection, 0.0)
    return made


def counted(metrics: Metrics, cause: Ended) -> float | None:
    return metrics.registry.get_sample_value("receiver_connections_ended_total", {"cause": cause})


@in_virtual_time
async def test_a_part_of_them_all_can_give_way_between_two_looks(metrics: Metrics) -> None:
    """Looks are rare, for they cost: at thousands of newcomers a second 256 a look were too few."""
    connections = 4_000
    made = full(metrics, connections, cpu=Cpu(look_s=1.0))
    newcomers = [made.admit(Connection(), 0.0) for _ in range(connections // OF_ONE_LOOK)]
    assert all(newcomers)


@in_virtual_time
async def test_a_look_that_the_machine_held_up_does_not_put_off_the_next(metrics: Metrics) -> None:
    """What counts is our time on the processor, not the clock's: here it was none."""
    made = full(metrics, 256)
    newcomers = [made.admit(Connection(), number / 100) for number in range(1, 101) for _ in range(4)]
    assert all(newcomers)


@in_virtual_time
async def test_looks_take_a_tenth_of_the_processor_and_newcomers_are_turned_away_meanwhile(metrics: Metrics) -> None:
    held = [Connection(None) for _ in range(9)]
    made = full(metrics, 8, *held, cpu=Cpu(look_s=0.05))
    assert not made.admit(Connection(), 0.0)
    for one in held:
        one.rank = SILENT
    assert [made.admit(Connection(), at) for at in (0.1, 0.4, 0.6)] == [False, False, True]
    assert counted(metrics, "full") == 3


@in_virtual_time
async def test_the_lowest_rank_gives_way_first_and_the_oldest_of_it(metrics: Metrics) -> None:
    order = [Connection(SILENT, 1.0), Connection(SILENT, 2.0), Connection(WAITING, 0.0), Connection(WAITING, 3.0)]
    at_work = [Connection(None) for _ in range(4)]
    made = full(metrics, 8, *at_work, *reversed(order), Connection(WAITING, 4.0))
    for number, _ in enumerate(order):
        assert made.admit(Connection(None), 0.0)
        assert [bool(one.ended) for one in order] == [True] * (number + 1) + [False] * (3 - number)
    assert {cause for one in order for cause in one.ended} == {"gave_way"}
    assert counted(metrics, "gave_way") == 4
    assert len(made) == 9


@in_virtual_time
async def test_who_began_to_work_or_left_since_the_last_look_is_passed_over(metrics: Metrics) -> None:
    busy, gone, slow = (Connection(SILENT, float(at)) for at in range(3))
    made = full(metrics, 8, busy, gone, slow, *(Connection(WAITING) for _ in range(6)))
    newcomer = Connection()
    made.admit(newcomer, 0.0)
    assert busy.ended
    made.remove(gone)
    assert made.admit(Connection(WAITING), 0.0)
    newcomer.rank, slow.rank = None, None
    assert made.admit(Connection(None), 0.0)
    assert [one.ended for one in (gone, slow, newcomer)] == [[]] * 3


@in_virtual_time
async def test_a_look_is_taken_again_once_it_is_stale(metrics: Metrics) -> None:
    known = [Connection(WAITING, float(at)) for at in range(9)]
    made = full(metrics, 8, *known, cpu=Cpu(look_s=100.0))
    assert made.admit(Connection(None), 0.0)
    assert known[0].ended
    slower = Connection(SILENT)
    made.remove(known[8])
    assert made.admit(slower, 0.0)
    assert made.admit(Connection(None), 0.9)
    assert not slower.ended
    assert made.admit(Connection(None), 1.1)
    assert slower.ended


@in_virtual_time
async def test_a_moment_later_only_so_many_are_left_as_may_be(metrics: Metrics) -> None:
    made = full(metrics, 16)
    assert len(made) == 18
    await asyncio.sleep(0.1)
    assert len(made) == 16
    assert made.admit(Connection(), now())
    await asyncio.sleep(0.1)
    assert len(made) == 16


@in_virtual_time
async def test_where_all_are_at_work_newcomers_are_turned_away_and_those_on_top_go_when_one_may(
    metrics: Metrics,
) -> None:
    at_work = [Connection(None) for _ in range(9)]
    made = full(metrics, 8, *at_work)
    assert not made.admit(Connection(), 0.0)
    assert counted(metrics, "full") == 1
    await asyncio.sleep(1)
    assert len(made) == 9
    at_work[4].rank = WAITING
    await asyncio.sleep(0.1)
    assert len(made) == 8
    assert [one.ended for one in at_work] == [["gave_way"] if n == 4 else [] for n in range(9)]


def test_no_address_has_more_than_its_share(metrics: Metrics) -> None:
    made = limiter(metrics, 100, per_address=2)
    one, two = Connection(), Connection()
    assert made.admit(one, 0.0)
    assert made.admit(two, 0.0)
    assert not made.admit(Connection(), 0.0)
    assert made.admit(Connection(peer="192.0.2.2"), 0.0)
    assert made.is_full_for("192.0.2.2", handshaking=1)
    assert counted(metrics, "full_for_address") == 1
    made.remove(one)
    made.remove(one)
    assert made.admit(Connection(), 0.0)
    made.remove(two)
    assert len(made) == 2


def test_a_trusted_proxys_connections_and_those_without_an_address_are_not_counted_together(metrics: Metrics) -> None:
    made = limiter(metrics, 100, per_address=1, trusted=Networks.of(["192.0.2.0/24"]))
    assert all(made.admit(Connection(peer=peer), 0.0) for peer in ("192.0.2.9", None) for _ in range(3))
    for first, second in (("198.51.100.1", "198.51.100.1"), ("2001:db8::1", "2001:db8::2")):
        assert made.admit(Connection(peer=first), 0.0)
        assert not made.admit(Connection(peer=second), 0.0), "an IPv6 network of one customer is one client"


@in_virtual_time
async def test_the_overdue_are_ended_twice_a_second_with_their_cause(metrics: Metrics) -> None:
    made = limiter(metrics, 10, per_address=10)
    slow, honest = Connection(), Connection()
    for one in (slow, honest):
        made.admit(one, 0.0)
    sweeping = asyncio.create_task(made.run())
    await asyncio.sleep(0.6)
    slow.late = "slow_head"
    await asyncio.sleep(0.5)
    assert (slow.ended, honest.ended) == (["slow_head"], [])
    assert counted(metrics, "slow_head") == 1
    assert len(made) == 1
    sweeping.cancel()


def test_what_is_no_http_is_counted(metrics: Metrics) -> None:
    limiter(metrics, 1).malformed()
    assert metrics.registry.get_sample_value("receiver_malformed_requests_total") == 1
