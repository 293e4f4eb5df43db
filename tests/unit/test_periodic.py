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


LOCKED, ODD, REFUSED = asyncpg.LockNotAvailableError("m"), asyncpg.InterfaceError("m"), ConnectionRefusedError("m")
MAY_PASS = ["LockNotAvailableError", "InterfaceError", "ConnectionRefusedError"]
STORIES: dict[str, tuple[list[Outcome], tuple[float, ...], float, list[float], list[str]]] = {
    "at once and then at intervals": ([None], (), 350, [0, 100, 200, 300], []),
    "what may pass is tried again soon": ([LOCKED, ODD, REFUSED, None], (), 150, [0, 10, 20, 30, 130], MAY_PASS),
    "one that hangs is ended at its deadline": ([hang, None], (), 20, [0, 15], ["TimeoutError"]),
    "a wake-up begins the next but leaves a pause": ([None], (0.5, 40, 40.2, 41), 150, [0, 2, 40, 42, 142], []),
    "it does not hurry one after a failure": ([REFUSED, None], (1,), 50, [0, 10], MAY_PASS[2:]),
}
"""How rounds end, when one is asked for, and how long we look: when they began, and the failures that were told."""


@pytest.mark.parametrize("story", STORIES)
@in_virtual_time
async def test_rounds_run(story: str):
    outcomes, asked_at, seconds, began, told = STORIES[story]
    rounds, wake = Rounds(*outcomes), asyncio.Event()
    for at in asked_at:
        asyncio.get_running_loop().call_at(at, wake.set)
    with captured_log() as log:
        await let(rounds, seconds, wake=wake, least_s=2.0)
    assert rounds.began == began
    assert rounds.connections == 0, "none is kept between rounds"
    lines = log.events("round.failed")
    assert [(line["level"], line["error"]) for line in lines] == [("warning", error) for error in told]
    assert {line["detail"] for line in lines if line["error"] in MAY_PASS} <= {"m"}


@in_virtual_time
async def test_with_jitter_no_pause_is_far_from_the_interval_and_no_two_are_alike():
    rounds = Rounds()
    await let(rounds, 2_000, jitter=0.1)
    pauses = [later - earlier for earlier, later in pairwise(rounds.began)]
    assert all(90 <= pause <= 110 for pause in pauses)
    assert len(set(pauses)) == len(pauses) > 10


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
async def test_rounds_that_fail_hold_up_no_others():
    good, bad = Rounds(), Rounds(hang)
    with captured_log(), pytest.raises(TimeoutError):
        async with asyncio.timeout(250):
            await repeat_all([bad.periodic(), good.periodic()], good.connect)
    assert good.began == [0, 100, 200]
    assert bad.began == [15 * n for n in range(17)]
