"""The loop of maintenance: when rounds run, what ends one, and what is told of it. No database, no waiting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import asyncpg
import pytest
from support.capture import captured_log
from support.virtual_time import in_virtual_time, now

from receiver.store.maintenance.periodic import Periodic, repeat, repeat_all

CONNECTION = object()
Outcome = BaseException | Callable[[], Awaitable[None]] | None


class Rounds:
    """When each round began; each comes to the outcome that is next, the last one for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.began: list[float] = []
        self.connections = 0
        self._outcomes = list(outcomes) or [None]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[object]:
        self.connections += 1
        try:
            yield CONNECTION
        finally:
            self.connections -= 1

    async def run(self, connection: object) -> None:
        assert connection is CONNECTION
        self.began.append(now())
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is not None:
            await outcome()

    def periodic(self, **changes: object) -> Periodic:
        given = {"interval_s": 100.0, "retry_s": 10.0, "deadline_s": 5.0, "failed_event": "round.failed"}
        return Periodic(run=self.run, **(given | changes))


async def hang() -> None:
    await asyncio.sleep(1_000_000)


async def let(rounds: Rounds, seconds: float, **changes: object) -> None:
    """So many seconds of it."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await repeat(rounds.periodic(**changes), rounds.connect)


@in_virtual_time
async def test_rounds_run_at_once_and_then_at_intervals():
    rounds = Rounds()
    await let(rounds, 350)
    assert rounds.began == [0, 100, 200, 300]
    assert rounds.connections == 0, "none is kept between rounds"


@in_virtual_time
async def test_with_jitter_no_pause_is_far_from_the_interval_and_no_two_are_alike():
    rounds = Rounds()
    await let(rounds, 2_000, jitter=0.1)
    pauses = [later - earlier for earlier, later in pairwise(rounds.began)]
    assert all(90 <= pause <= 110 for pause in pauses)
    assert len(set(pauses)) == len(pauses) > 10


@pytest.mark.parametrize(
    "error", [asyncpg.LockNotAvailableError("m"), asyncpg.InterfaceError("m"), ConnectionRefusedError("m")], ids=repr
)
@in_virtual_time
async def test_what_may_pass_is_told_and_tried_again_soon(error: Exception):
    rounds = Rounds(error, error, None)
    with captured_log() as log:
        await let(rounds, 150)
    assert rounds.began == [0, 10, 20, 120]
    assert [(line["level"], line["error"], line["detail"]) for line in log.events("round.failed")] == [
        ("warning", type(error).__name__, "m")
    ] * 2


@in_virtual_time
async def test_a_round_that_hangs_is_ended_at_its_deadline_and_its_connection_let_go():
    rounds = Rounds(hang, None)
    with captured_log() as log:
        await let(rounds, 20)
    assert rounds.began == [0, 15]
    assert [line["error"] for line in log.events("round.failed")] == ["TimeoutError"]
    assert rounds.connections == 0


@in_virtual_time
async def test_a_database_that_cannot_be_reached_is_told_and_tried_again():
    rounds = Rounds()

    @asynccontextmanager
    async def away() -> AsyncIterator[object]:
        if now() < 25:
            raise OSError("nobody there")
        yield CONNECTION

    with captured_log() as log, pytest.raises(TimeoutError):
        async with asyncio.timeout(50):
            await repeat(rounds.periodic(), away)
    assert rounds.began == [30]
    assert len(log.events("round.failed")) == 3


@in_virtual_time
async def test_a_fault_of_our_own_is_raised_and_ends_the_loop():
    rounds = Rounds(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        await repeat(rounds.periodic(), rounds.connect)


@in_virtual_time
async def test_a_wake_up_begins_the_next_round_but_leaves_a_pause():
    rounds, wake = Rounds(), asyncio.Event()
    for at in (0.5, 40, 40.2, 41):
        asyncio.get_running_loop().call_at(at, wake.set)
    await let(rounds, 150, wake=wake, least_s=2.0)
    assert rounds.began == [0, 2, 40, 42, 142]


@in_virtual_time
async def test_a_wake_up_does_not_hurry_a_round_that_failed():
    rounds, wake = Rounds(OSError("away"), None), asyncio.Event()
    asyncio.get_running_loop().call_at(1, wake.set)
    await let(rounds, 50, wake=wake, least_s=2.0)
    assert rounds.began == [0, 10]


@in_virtual_time
async def test_rounds_that_fail_hold_up_no_others():
    good, bad = Rounds(), Rounds(hang)
    with captured_log(), pytest.raises(TimeoutError):
        async with asyncio.timeout(250):
            await repeat_all([bad.periodic(), good.periodic()], good.connect)
    assert good.began == [0, 100, 200]
    assert bad.began == [15 * n for n in range(17)]
