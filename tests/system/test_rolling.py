"""Three receivers behind HAProxy and nginx: one restarts, dies or hangs, and no caller notices more than a delay."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from support import behind as fleet
from support import fronts
from support.behind import Behind
from support.cluster import Cluster
from support.process import ServiceProcess

NOTICED_S = 5.0
"""deploy/haproxy/haproxy.cfg asks for a RECEIVER_SHUTDOWN_DELAY_S of 3; tests have less of a machine."""


@pytest.fixture(params=fronts.NAMES)
async def behind(
    request: pytest.FixtureRequest,
    program: Callable[..., list[str]],
    reachable: Cluster,
    open_folder: Path,
    say: Callable[[str], None],
) -> AsyncIterator[Behind]:
    database = await reachable.new_database()
    folder = open_folder / database
    given = {"shutdown_delay_s": NOTICED_S}
    async with fleet.running(request.param, program, reachable, database, folder, say, **given) as behind:
        yield behind


@asynccontextmanager
async def hanging(receiver: ServiceProcess) -> AsyncIterator[None]:
    """SIGSTOP: it takes connections by the kernel's courtesy, and says nothing."""
    process = psutil.Process(receiver.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


async def test_they_restart_one_after_the_other(behind: Behind) -> None:
    """Each says that it is not ready before it stops listening."""
    for receiver in behind.receivers:
        await behind.restart(receiver)
    await behind.check("restarts, one after the other")
    tries = [line["retries"] for line in behind.front.told() if "retries" in line]
    assert set(tries) <= {"0"}, "HAProxy had noticed before: no callback met a closed door"


async def test_one_after_the_other_is_killed(behind: Behind) -> None:
    for receiver in behind.receivers:
        await receiver.kill()
        await behind.answered(60)
        await receiver.start()
        await behind.answered(30)
    await behind.check("kill -9, one after the other")


async def test_what_was_in_the_spool_of_one_that_was_killed_comes_when_it_is_back(behind: Behind) -> None:
    first = behind.receivers[0]
    await behind.network.set("cut")
    await first.spooling(20)
    await first.kill()
    await behind.network.set("pass")
    await behind.answered(30)
    await first.start()
    await behind.check("kill -9 with reports in the spool")


async def test_one_hangs(behind: Behind) -> None:
    async with hanging(behind.receivers[0]):
        await behind.answered(60)
    await behind.answered(30)
    await behind.check("one hangs")
