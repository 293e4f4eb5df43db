"""The pull stopped and killed at every point: nothing that the platform handed out is lost.

But for one gap: what the platform has sent and our disk has not got when a kill -9 comes. There the test shows how
wide it is, that it is told of, and that asking by number fills it.
"""

import asyncio
import random
import signal

import pytest
from support import tencent_api
from support.kill_points import FATAL, POINTS
from support.pulling import PullProcess, asked, ids, looping, opened, stored
from support.tencent_api import REPORTS, report
from support.waiting import eventually

from receiver.pull.wiring import keeping
from receiver.service import storing as storage


@pytest.fixture
async def api():
    async with tencent_api.running() as running:
        yield running


@pytest.fixture
def settings(make_settings):
    """A slow machine must not turn a story about the platform into one about the spool."""
    return make_settings(database_timeout_s=20, answer_deadline_s=30)


@pytest.fixture
async def process(api, database, tmp_path):
    limits = {"tencent_pull_limit": 5, "tencent_pull_max_calls_per_s": 50, "tencent_pull_interval_s": 0.02}
    process = PullProcess(tmp_path / "pull", database_url=database, database_timeout_s=20, **(api.settings | limits))
    yield process
    await process.gone()


async def drained(api, database, count):
    """Wait until the platform has nothing left, and what it handed out last is stored."""

    async def done():
        return not api.queues[REPORTS] and len(await stored(database)) >= count

    await eventually(done)


def enough(api, count):
    return lambda: len(api.handed()) >= count


class TestStopped:
    async def test_at_any_moment_it_keeps_what_it_asked_for_and_a_new_loop_goes_on(
        self, api, monkeypatch, settings, database
    ):
        source, _ = opened(monkeypatch, api, limit=5, max_calls_per_s=50).sources
        api.give(report(number) for number in range(500))
        async with storage(settings, asyncio.Event()) as kept:
            keep = keeping(kept.ingest)
            for moment in range(60):
                async with looping(source, keep, settings):
                    await asyncio.sleep(moment / 2_000)  # where in the loop it is then, nobody knows: that is the point
                assert await stored(database) == ids(api.handed())
        assert api.handed()

    async def test_with_a_call_under_way_it_waits_for_the_answer(self, api, monkeypatch, settings, database):
        source, _ = opened(monkeypatch, api).sources
        api.give(report(number) for number in range(10))
        api.gate.clear()
        async with (
            storage(settings, asyncio.Event()) as kept,
            looping(source, keeping(kept.ingest), settings) as task,
        ):
            await eventually(api.handed)
            task.cancel()
            asyncio.get_running_loop().call_soon(api.gate.set)
        assert await stored(database) == ids(api.handed())

    async def test_by_sigterm_it_keeps_what_it_asked_for_and_ends_well(self, api, process, database):
        api.give(report(number) for number in range(5))
        api.gate.clear()
        await process.start()
        await eventually(api.handed)
        await process.signal(signal.SIGTERM)
        await eventually(lambda: "service.stopping" in process.log)
        api.gate.set()
        assert await process.ended() == 0
        assert await stored(database) == ids(api.handed())


class TestKilled:
    async def test_at_every_point_of_the_loop(self, api, process, database, commands):
        gap = []
        for number, point in enumerate(POINTS, start=1):
            before = len(api.handed())
            api.give(report(1_000 * number + one) for one in range(10))
            await process.start("-m", "support.kill_points", point)
            assert await process.ended() == -signal.SIGKILL, point
            if point in FATAL:
                gap += api.handed()[before:]
        await process.start()
        await drained(api, database, len(api.history[REPORTS]) - len(gap))
        await process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        lost = set(ids(api.handed())) - set(await stored(database))
        assert lost == set(ids(gap))
        assert len(gap) == 5 * len(FATAL)
        assert process.log.count("pull.interrupted") >= len(FATAL)

        numbers = [item["PhoneNumber"] for item in gap]
        for new in (len(gap), 0):
            found = (await asked(commands, api, database, *numbers)).json
            assert found == {"numbers": len(gap), "items": len(gap), "new": new, "incomplete": 0}
            assert await stored(database) == ids(api.handed())

    async def test_again_and_again_at_no_point_in_particular_each_costs_one_call_at_most(self, api, process, database):
        dice, kills = random.Random(20261120), 4
        api.give(report(number) for number in range(400))
        for _ in range(kills):
            await process.start()
            await eventually(enough(api, len(api.handed()) + dice.randrange(1, 60)))
            await asyncio.sleep(dice.random() / 50)  # to meet another point of the loop each time
            await process.signal(signal.SIGKILL)
            assert await process.ended() == -signal.SIGKILL
        await process.start()
        await eventually(lambda: not api.queues[REPORTS] and not api.calls_of()[-1].handed)
        await process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        lost = set(ids(api.handed())) - set(await stored(database))
        calls = [set(ids(call.handed)) for call in api.calls if lost.intersection(ids(call.handed))]
        assert set().union(*calls) == lost
        assert len(calls) <= kills
        assert process.log.count("pull.interrupted") >= len(calls)
