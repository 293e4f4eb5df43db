"""The machine of PostgreSQL is lost under load, and its standby takes over: nobody is sent away, nothing is lost."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import failover
from support import pair as pairs
from support.cluster import APPLICATION
from support.failover import SPOOLED_S
from support.pair import Pair
from support.remembering import remembered
from support.waiting import eventually

from receiver.store import timelines

KILLS = 10


@pytest.fixture(scope="module")
async def pair(open_folder: Path) -> AsyncIterator[Pair]:
    async with pairs.running(open_folder / "pair") as pair:
        yield pair


async def test_kill_9_of_the_primary_ten_times_in_a_row(
    pair: Pair, open_folder: Path, say: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    say(f"seed {seed}")
    dice = random.Random(seed)
    await pair.synchronous()
    async with failover.loaded(pair, open_folder, say=say) as rig:
        for number in range(KILLS):
            await asyncio.sleep(dice.uniform(0, 3))
            with rig.phase(f"kill {number + 1}"):
                pair.primary.kill()
                await asyncio.sleep(dice.choice((0, dice.uniform(0, 2))))  # until somebody notices
                await pair.promote()
                await pair.rejoin(anew=dice.random() < 0.5)
                await pair.synchronous()
                await rig.load.answered(30)
        assert (await failover.check(pair, rig)).longest() < SPOOLED_S


async def test_kill_9_of_the_standby_that_commits_wait_for(
    pair: Pair, open_folder: Path, say: Callable[[str], None]
) -> None:
    """Nothing is committed without it, so all goes to the spool, and comes out when it is back."""
    await pair.synchronous()
    async with failover.loaded(pair, open_folder, say=say) as rig:
        with rig.phase("kill of the standby"):
            pair.standby.kill()
            await rig.service.spooling(100)
            assert not (await rig.service.readiness() or {})["database"]
            await pair.standby.start()
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(30)
        await failover.check(pair, rig)


@pytest.mark.parametrize("way", ["lives on", "hangs"])
async def test_the_standby_is_promoted_beside_a_primary_that(
    pair: Pair, open_folder: Path, say: Callable[[str], None], way: str
) -> None:
    """Two servers take writes; those of the old one wait for a standby that has left it, so none of them counts."""
    await pair.synchronous()
    async with failover.loaded(pair, open_folder, say=say) as rig:
        with rig.phase(f"it {way}"):
            if way == "hangs":
                pair.primary.pause()
            await pair.promote()
            await rig.load.answered(200)
            await rig.service.until(lambda answer: answer["database"])
            pair.standby.resume()
            await rig.load.answered(300)
        assert (await failover.check(pair, rig)).longest() < SPOOLED_S
    pair.standby.kill()
    await pair.rejoin(anew=False)


@pytest.mark.parametrize("required", [True, False])
async def test_the_second_machine_is_lost_before_the_first_is_back(
    pair: Pair, open_folder: Path, say: Callable[[str], None], *, required: bool
) -> None:
    """Promoted, it waits for no standby: what it alone had is lost, unless RECEIVER_REQUIRE_SYNC_REPLICA spools it."""
    await pair.primary.administrate(f"GRANT pg_read_all_stats TO {APPLICATION}")
    await pair.synchronous()
    async with failover.loaded(pair, open_folder, say=say, rate=60, require_sync_replica=required) as rig:
        with rig.phase("one lost, then the other"):
            pair.primary.kill()
            await pair.promote()
            if not required:
                await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(100)
            kept = open_folder / rig.database / "data"
            await eventually(lambda: remembered(kept, pair.primary))
            pair.primary.kill()
            pair.back()
            await pair.primary.start()
            (kept / timelines.FILE_NAME).unlink()  # the timeline is lower than the lost one's, and meant
            await pair.rejoin(anew=True)
            await pair.synchronous()
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(30)
        evidence = await failover.settle(pair, rig)
    if required:
        failover.nothing_lost(evidence, rig)
    assert bool(evidence.verdict.lost) is not required


async def test_what_an_asynchronous_standby_has_not_received_is_lost(
    pair: Pair, open_folder: Path, say: Callable[[str], None]
) -> None:
    """And nothing else is: what the old primary alone has was answered as good, and is on its disk still."""
    await pair.synchronous(wanted=False)
    async with failover.loaded(pair, open_folder, say=say) as rig, pair.proxied() as between:
        received_until = time.time()
        await pair.follows()
        with rig.phase("cut, then killed"):
            await between.set("blackhole")
            await rig.load.answered(150)
            pair.primary.kill()
            await pair.promote()
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(30)
        evidence = await failover.settle(pair, rig)
    await pair.standby.start()
    left_behind = await failover.commits(pair.standby.socket_url(rig.database))
    verdict = evidence.verdict
    assert verdict.lost
    assert verdict.lost <= {commit.message_id for commit in left_behind if commit.committed > received_until}
    assert not verdict.duplicated | verdict.invented | verdict.mistimed
    assert set(evidence.ledger.statuses()) == {"200"}
    pair.standby.kill()
    await pair.rejoin(anew=False)
