"""A proxy before three receivers, under load with the ledger."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from support import fronts, proxy
from support import ledger as ledgers
from support.cluster import APPLICATION, Cluster
from support.front import SERVER_NAME, Front
from support.process import ServiceProcess
from support.proxy import Proxy
from support.rig import NO_HANG_S, Load

_TRUSTED: Final = "127.0.0.1/32"

_RATE: Final = 60
"""Requests a second of each of the two clients."""


@dataclass
class Behind:
    """One client keeps its connections, the other has one for each request.

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

    async def restart(self, receiver: ServiceProcess) -> None:
        """In good order, and wait until it is ready and callers have been answered."""
        assert await receiver.terminate() == 0
        await receiver.start()
        await self.answered(30)

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


@asynccontextmanager
async def running(
    name: str,
    program: Callable[..., list[str]],
    cluster: Cluster,
    database: str,
    folder: Path,
    say: Callable[[str], None],
    **more: object,
) -> AsyncIterator[Behind]:
    """The proxy of that name, receivers and load while the block runs. `more` are settings of the receivers."""
    await asyncio.to_thread(folder.mkdir)
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(proxy.running(cluster.port))
        ports = (network.port, cluster.port, cluster.port)
        urls = [cluster.url(database, user=APPLICATION, port=port) for port in ports]
        receivers = [
            ServiceProcess(folder / str(number), database_url=url, trusted_proxies=_TRUSTED, **more)
            for number, url in enumerate(urls)
        ]
        for receiver in receivers:
            stack.push_async_callback(_gone, receiver)
        await asyncio.gather(*(receiver.start() for receiver in receivers))
        front = stack.enter_context(fronts.running(name, program, folder / "proxy", receivers))
        given = {"rate": _RATE, "connections": 12, "authorities": front.authorities, "server_name": SERVER_NAME}
        loads = [
            stack.enter_context(Load(front.url, folder / f"{fresh}.ledger", fresh=fresh, **given))
            for fresh in (False, True)
        ]
        behind = Behind(front, receivers, network, loads, cluster.socket_url(database), say)
        await behind.answered(30)
        yield behind


async def _gone(receiver: ServiceProcess) -> None:
    if receiver.alive:
        psutil.Process(receiver.pid).resume()
        await receiver.kill()
