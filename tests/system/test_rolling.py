"""Three receivers behind HAProxy and nginx: one restarts, dies or hangs, and no caller notices more than a delay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support import fronts, proxy
from support import ledger as ledgers
from support.cluster import APPLICATION, Cluster
from support.front import SERVER_NAME, Front
from support.process import ServiceProcess
from support.proxy import Proxy
from support.rig import NO_HANG_S, Load

SETTINGS = {"trusted_proxies": "127.0.0.1/32", "shutdown_delay_s": 5.0}
"""deploy/haproxy/haproxy.cfg asks for a delay of 3 s; tests have less of a machine."""

RATE = 60
"""Requests a second of each client."""


@dataclass
class Behind:
    """A proxy before three receivers, under load from two clients: one that keeps its connections, one that does not.

    `network` is between the first receiver and PostgreSQL.
    """

    front: Front
    receivers: list[ServiceProcess]
    network: Proxy
    loads: list[Load]
    sql_url: str
    say: Callable[[str], None]

    async def answered(self, requests: int) -> None:
        """Wait until so many more requests of each client have an outcome."""
        await asyncio.gather(*(load.answered(requests) for load in self.loads))

    async def check(self, name: str) -> None:
        """Nothing failed, nothing is lost, nothing is there twice."""
        ledger = ledgers.both(*[await load.stop() for load in self.loads])
        await asyncio.gather(*(receiver.drained() for receiver in self.receivers))
        verdict = ledgers.judge(ledger, await ledgers.stored(self.sql_url))
        self.say(ledgers.show(name, ledger, verdict))
        assert verdict.good, verdict
        assert set(ledger.outcomes()) == {"ok"}, (ledger.statuses(), self.front.logs()[-2000:])
        assert ledger.percentiles()["max"] < NO_HANG_S
        assert not [line for receiver in self.receivers for line in receiver.noise()]


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
    folder.mkdir()
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(proxy.running(reachable.port))
        ports = (network.port, reachable.port, reachable.port)
        urls = [reachable.url(database, user=APPLICATION, port=port) for port in ports]
        receivers = [
            ServiceProcess(folder / str(number), database_url=url, **SETTINGS) for number, url in enumerate(urls)
        ]
        for receiver in receivers:
            stack.push_async_callback(gone, receiver)
        await asyncio.gather(*(receiver.start() for receiver in receivers))
        front = stack.enter_context(fronts.running(request.param, program, folder / "proxy", receivers))
        given = {"rate": RATE, "connections": 12, "authorities": front.authorities, "server_name": SERVER_NAME}
        loads = [
            stack.enter_context(Load(front.url, folder / f"{fresh}.ledger", fresh=fresh, **given))
            for fresh in (False, True)
        ]
        seen = Behind(front, receivers, network, loads, reachable.socket_url(database), say)
        await seen.answered(30)
        yield seen


async def gone(receiver: ServiceProcess) -> None:
    if receiver.alive:
        psutil.Process(receiver.pid).resume()
        await receiver.kill()


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
        assert await receiver.terminate() == 0
        await receiver.start()
        await behind.answered(30)
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
