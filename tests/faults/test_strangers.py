"""Strangers who connect by the thousand and never come to a request: honest platforms far away get through."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import trustme
from support import process, proxy
from support.certificates import authority_file, client, issue
from support.dialects import FORM
from support.https import client_hello
from support.silent import flooding

Connectors = Callable[[], aiohttp.TCPConnector]

URL = "/callback/huawei/report"
AWAY_S = 0.2
"""What each piece of an honest call takes, there and back: the handshake is three times that."""

WORKERS = 40
ATTACK_S = 4.0
GOOD_SHARE = 0.99

HELLO = client_hello()


FLOODS = {
    "TLS, silent, a hundred addresses": ("TLS", 3_000, 100, b""),
    "TLS, silent, one address": ("TLS", 3_000, 1, b""),
    "TLS, half a ClientHello": ("TLS", 3_000, 100, HELLO[:100]),
    "TLS, a ClientHello": ("TLS", 640, 100, HELLO),
    "mutual TLS, silent": ("mutual TLS", 3_000, 100, b""),
    "plain HTTP, silent": ("plain HTTP", 3_000, 100, b""),
}
"""How the service listens; the strangers' connects a second, from so many addresses, and what each of them says."""


@dataclass
class Honest:
    """Calls on new connections, by outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)
    stopping: bool = False

    async def call(self, url: str, connector: aiohttp.TCPConnector) -> None:
        """One after another until told to stop."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while not self.stopping:
                body = f"smsMsgId=honest-{id(session)}-{self.outcomes.total()}&status=DELIVRD"
                try:
                    async with session.post(url, data=body, headers={"Content-Type": FORM}) as response:
                        await response.read()
                        self.outcomes[str(response.status)] += 1
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    self.outcomes[type(error).__name__] += 1

    @property
    def good_share(self) -> float:
        return self.outcomes["200"] / self.outcomes.total()


@asynccontextmanager
async def serving(kind: str, folder: Path, database: str) -> AsyncIterator[tuple[process.ServiceProcess, Connectors]]:
    """A service, and how to make connectors that trust it."""
    authority = trustme.CA()
    pair = issue(authority, folder, "server")
    own = issue(authority, folder, "client")
    files = {}
    if kind != "plain HTTP":
        files = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    if kind == "mutual TLS":
        files["tls_client_ca"] = f"huawei={authority_file(authority, folder, 'authority')}"
    context = client(authority, own if kind == "mutual TLS" else None)
    async with process.running(folder / "service", database_url=database, log_level="WARNING", **files) as service:
        yield service, lambda: aiohttp.TCPConnector(force_close=True, ssl=context)


@pytest.mark.parametrize("name", FLOODS)
async def test_honest_calls_from_far_away_get_through(
    database: str, tmp_path: Path, say: Callable[[str], None], name: str
) -> None:
    kind, rate, addresses, piece = FLOODS[name]
    honest = Honest()
    async with serving(kind, tmp_path, database) as (service, connector), proxy.running(service.port) as far:
        far.delay_s = AWAY_S
        await far.set("delay")
        url = f"{service.url.rpartition(':')[0]}:{far.port}{URL}"
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(honest.call(url, connector()))
            before_s = service.cpu_s()
            attack = flooding(service.port, rate=rate, addresses=addresses, seconds=ATTACK_S, piece=piece)
            async with attack as flood:
                pass
            used_s = service.cpu_s() - before_s
            honest.stopping = True
        good = f"{honest.good_share:.1%} of {honest.outcomes.total()} honest calls good {dict(honest.outcomes)}"
        cost = f"{used_s / flood.seconds:.0%} of a core, {service.memory_mib():.0f} MiB"
        say(f"{name}: {flood.connects / flood.seconds:.0f} connects/s; {good}; {cost}")
        assert service.noise() == []
        assert flood.connects > rate
        assert honest.good_share >= GOOD_SHARE
