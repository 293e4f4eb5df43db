"""Slow clients by the thousand (slowhttptest): an honest platform's pushes, on new connections, all get through."""

import asyncio
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from support.databases import connected
from support.dialects import FORM
from support.process import ServiceProcess, running

URL = "/callback/huawei/report"
CONNECTIONS = 200
"""Of the service; the attacker opens five times as many."""

ATTACK_S = 12
WORKERS = 4
STORED = "SELECT count(*) FROM sms.delivery_report WHERE message_id LIKE 'honest-%'"

ATTACKS = {
    "slow headers": ["-H", "-i", "1", "-x", "24", "-t", "POST"],
    "slow body": ["-B", "-i", "1", "-x", "10", "-s", "8192"],
    "slow read": ["-X", "-k", "10", "-w", "8", "-y", "16", "-n", "2", "-z", "4"],
}


class Honest:
    """A platform: one report after another from several workers, each with `Connection: close`, as Huawei does."""

    def __init__(self, url: str, address: str) -> None:
        self._url = url
        self._address = address
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.stopping = False

    async def push(self, worker: int) -> None:
        """Until told to stop."""
        connector = aiohttp.TCPConnector(force_close=True, local_addr=(self._address, 0))
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
            while not self.stopping:
                began = time.perf_counter()
                body = f"smsMsgId=honest-{worker}-{len(self.seconds)}-{began}&status=DELIVRD"
                try:
                    async with client.post(self._url, data=body, headers={"Content-Type": FORM}) as response:
                        await response.read()
                        if response.status != 200:
                            self.failures.append(f"answered {response.status}")
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failures.append(repr(error))
                self.seconds.append(time.perf_counter() - began)

    def told(self) -> str:
        """For the person who runs the test."""
        good = len(self.seconds) - len(self.failures)
        p99 = sorted(self.seconds)[len(self.seconds) * 99 // 100]
        return f"{good} of {len(self.seconds)} pushes kept ({good / len(self.seconds):.2%}), p99 {p99 * 1_000:.1f} ms"


@asynccontextmanager
async def pushing(url: str, address: str = "127.0.0.1") -> AsyncIterator[Honest]:
    honest = Honest(url, address)
    async with asyncio.TaskGroup() as workers:
        for worker in range(WORKERS):
            workers.create_task(honest.push(worker))
        try:
            yield honest
        finally:
            honest.stopping = True


async def attack(slowhttptest: list[str], url: str, options: list[str]) -> None:
    """Until it is over; an attacker who was shown out comes again."""
    size = ["-c", str(5 * CONNECTIONS), "-r", str(5 * CONNECTIONS), "-l", str(ATTACK_S)]
    loop = asyncio.get_running_loop()
    until = loop.time() + ATTACK_S
    while loop.time() < until:
        process = await asyncio.create_subprocess_exec(*slowhttptest, *options, *size, "-u", url, stdout=DEVNULL)
        try:
            assert await asyncio.wait_for(process.wait(), until + 1 - loop.time()) == 0
        except TimeoutError:
            process.kill()
            await process.wait()


async def ended(service: ServiceProcess) -> dict[str, int]:
    """How many connections the service ended, by cause."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{service.ops_port}/metrics") as response,
    ):
        lines = (await response.text()).splitlines()
    found = [line.partition('cause="')[2] for line in lines if line.startswith("receiver_connections_ended_total")]
    return {line.partition('"')[0]: int(float(line.split()[-1])) for line in found}


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("per_address", [False, True], ids=["from the same address", "from another address"])
async def test_honest_pushes_get_through(
    program: Callable[..., list[str]], database: str, tmp_path: Path, kind: str, *, per_address: bool
) -> None:
    slowhttptest = program("slowhttptest", "slowhttptest")
    limit = {"max_connections_per_address": CONNECTIONS // 4} if per_address else {}
    async with running(tmp_path, database_url=database, max_connections=CONNECTIONS, **limit) as service:
        address = "127.0.0.2" if per_address else "127.0.0.1"
        async with pushing(service.url + URL, address) as honest:
            await attack(slowhttptest, service.url + URL, ATTACKS[kind])
        causes = await ended(service)
        print(f"\n{kind}, {'another' if per_address else 'the same'} address: {honest.told()}; ended by us: {causes}")  # noqa: T201
        assert honest.failures == [], service.tail()
        assert service.noise() == []
        assert causes["full_for_address" if per_address else "gave_way"] > 0
        assert await stored(database) == len(honest.seconds)
        assert service.alive


async def stored(database: str) -> int:
    async with connected(database) as sql:
        number: int = await sql.fetchval(STORED)
        return number
