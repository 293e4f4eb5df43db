"""Service, PostgreSQL, the network between them and the load, each a process or a proxy that a fault can get at."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

from support import ledger as ledgers
from support import proxy as proxies
from support.cluster import APPLICATION, Cluster
from support.ledger import Ledger, Verdict
from support.process import ServiceProcess
from support.proxy import Proxy

NO_HANG_S = 10.0
"""An answer that takes longer than this hangs: five times the deadline, for slow machines."""

STARTING_S = 30.0
"""The same where a connection waits for a process that starts: an interpreter takes seconds on a busy machine."""

_LOAD = Path(__file__).parent.parent / "faults" / "load.py"
_ANSWERS_WITHIN_S = 60.0
_runs = count()


class Load:
    """The load client's process and its ledger."""

    def __init__(
        self, url: str, file: Path, *, rate: float, connections: int, fresh: bool = False, **more: object
    ) -> None:
        """`more`: options of tests/faults/load.py."""
        self._file = file
        options = {"url": url, "ledger": file, "rate": rate, "connections": connections, "run": f"run{next(_runs)}"}
        arguments = [
            part for name, value in (options | more).items() for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        arguments += ["--fresh"] if fresh else []
        self._process = subprocess.Popen([sys.executable, str(_LOAD), *arguments], stdin=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ledger(self) -> Ledger:
        return ledgers.read(self._file)

    async def answered(self, requests: int) -> None:
        """Wait until so many more requests have an outcome, whichever."""
        wanted = self._done() + requests
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            while self._done() < wanted:
                assert self._process.poll() is None
                await asyncio.sleep(0.05)

    def _done(self) -> int:
        return sum(attempt.seconds is not None for attempt in self.ledger().attempts.values())

    async def stop(self) -> Ledger:
        """Let it finish what is under way; its whole ledger."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self._process.wait, 60) == 0
        return self.ledger()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@dataclass
class Rig:
    """All of it. `phases` are the times of the faults, for the report; `cluster` is None where another keeps it."""

    cluster: Cluster | None
    network: Proxy | None
    database: str
    service: ServiceProcess
    load: Load
    say: Callable[[str], None] = print
    phases: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def proxy(self) -> Proxy:
        """The network between service and PostgreSQL, where there is one to break."""
        assert self.network is not None
        return self.network

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What the load sees in this block is reported under this name."""
        began = time.time()
        try:
            yield
        finally:
            self.phases.append((name, began, time.time()))

    async def through(self, name: str, fault: AbstractAsyncContextManager[None], seconds: float) -> None:
        """Break something for a while under load, heal it, and wait until PostgreSQL takes reports again."""
        with self.phase(name):
            async with fault:
                await asyncio.sleep(seconds)
        with self.phase(f"after {name}"):
            await self.service.until(lambda answer: answer["database"])
            await self.load.answered(30)

    async def move_database(self, tablespace: str) -> None:
        """To another disk; PostgreSQL wants nobody connected meanwhile, so the service has to spool."""
        await self.proxy.set("cut")
        forbid = f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS"
        await self.cluster.administrate(f"{forbid} false")
        await self.cluster.disconnect(self.database)
        await self.cluster.administrate(f"ALTER DATABASE {self.database} SET TABLESPACE {tablespace}", f"{forbid} true")
        await self.proxy.set("pass")
        await self.service.drained()

    async def settle(self) -> tuple[Ledger, Verdict]:
        """After everything has healed: stop the load, let the spool drain, compare, and say what came of it."""
        ledger = await self.load.stop()
        await self.service.drained()
        rows = await ledgers.stored(self.cluster.socket_url(self.database))
        for name, since, until in self.phases:
            part = ledger.between(since, until)
            self.say(ledgers.show(f"  {name}", part, ledgers.judge(part, rows, ledger)))
        verdict = ledgers.judge(ledger, rows)
        self.say(ledgers.show("whole run", ledger, verdict))
        return ledger, verdict

    async def check(self, *, every_one_ok: bool = False, within_s: float = NO_HANG_S) -> Ledger:
        """`settle`, and assert what must hold whatever the fault was; or also that nobody was sent away."""
        ledger, verdict = await self.settle()
        assert verdict.good, verdict
        assert not every_one_ok or set(ledger.outcomes()) == {"ok"}, ledger.outcomes()
        assert ledger.percentiles()["max"] < within_s, ledger.percentiles()
        assert ledger.outcomes()["ok"], "nothing was acknowledged: the run proves nothing"
        assert not self.service.noise(), "\n".join(self.service.noise())
        return ledger


Loaded = Callable[..., AbstractAsyncContextManager[Rig]]
"""The fixture of that name: `loaded`, with settings."""


@asynccontextmanager
async def serving(
    cluster: Cluster | None,
    folder: Path,
    database: str,
    *,
    network: Proxy | None = None,
    say: Callable[[str], None] = print,
    rate: float = 150,
    connections: int = 16,
    **settings: object,
) -> AsyncIterator[Rig]:
    """A service under load, whose settings name the database's URL."""
    service = ServiceProcess(folder / database, **settings)
    try:
        await service.start()
        with Load(service.url, folder / f"{database}.ledger", rate=rate, connections=connections) as load:
            await load.answered(50)
            yield Rig(cluster, network, database, service, load, say)
    finally:
        if service.alive:
            await service.kill()


@asynccontextmanager
async def loaded(cluster: Cluster, folder: Path, **options: Any) -> AsyncIterator[Rig]:
    """A service with a database of its own behind a proxy, under load."""
    database = await cluster.new_database()
    async with proxies.running(cluster.port) as proxy:
        url = cluster.url(database, user=APPLICATION, port=proxy.port)
        given = {"database_url": url} | options
        async with serving(cluster, folder, database, network=proxy, **given) as rig:
            yield rig
