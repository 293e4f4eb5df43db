"""The machine of PostgreSQL is lost under load, and its standby takes over: nobody is sent away, nothing is lost."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import failover
from support import pair as pairs
from support.pair import Pair

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
        await failover.check(pair, rig)


async def test_kill_9_of_the_standby_that_commits_wait_for(
    pair: Pair, open_folder: Path, say: Callable[[str], None]
) -> None:
    """Nothing is committed without it, so all goes to the spool, and comes out when it is back."""
    await pair.synchronous()
    async with failover.loaded(pair, open_folder, say=say) as rig:
        with rig.phase("kill of the standby"):
            pair.standby.kill()
            await rig.service.spooling(300)
            assert not (await rig.service.readiness() or {})["database"]
            await pair.standby.start()
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(30)
        await failover.check(pair, rig)
