"""A PostgreSQL of the tests' own, on a TCP port and without a supervisor, to be killed, stopped and starved.

Built from the wheel's programs with the service's own code, as whichever user that chooses (PostgreSQL refuses root).
"""

import asyncio
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import chain, count, repeat
from pathlib import Path
from subprocess import DEVNULL, Popen
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

import asyncpg
import psutil

from receiver.embedded.account import Account, account_for, make_private, spawn
from receiver.embedded.binaries import usable_binaries
from receiver.embedded.datafolder import make_data_dir, prepare_pgdata
from receiver.embedded.layout import SUPERUSER, layout_of
from receiver.embedded.log import open_log
from receiver.embedded.processes import end_leftovers, processes_of
from support.databases import fill_template

APPLICATION = "receiver_app"
"""The service's role: a member of sms_writer and nothing more."""

_TEMPLATE = "template_faults"
_numbers = count()
_START_S = 120.0
"""After a crash every file of it is synced first, on a disk that others use too."""
_PROGRAM_S = 120.0
HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "30",
    "shared_buffers": "32MB",
    "log_min_error_statement": "panic",
    "restart_after_crash": "on",
}


def _ports() -> range:
    """Below those that the kernel gives to clients. Workers of pytest-xdist have none in common."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(10_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


_candidates: Final = chain.from_iterable(repeat(random.sample(_ports(), len(_ports()))))


def free_port() -> int:
    """A TCP port that nobody listens on now, and that nobody else of this run will be given before it is used."""
    for number in _candidates:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number
    raise AssertionError


def unused_name(kind: str) -> str:
    """Of a database, in whatever cluster: a test's files are named after its database."""
    return f"{kind}_{next(_numbers)}"


class Cluster:
    """`start` it first. Every other method is a thing that an operator, a kernel or a disk may do to it."""

    def __init__(
        self, folder: Path, binaries: Path, account: Account, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.layout = layout_of(folder)
        self.port = free_port()
        self._settings = {**_SETTINGS, **settings}
        self._binaries = binaries
        self.account = account
        self._process: Popen[bytes] | None = None

    def url(self, database: str, *, user: str = SUPERUSER, port: int | None = None) -> str:
        """By TCP; `port` of a proxy in between."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """By the socket: past every proxy."""
        where = urlencode({"host": str(self.layout.sockets), "port": self.port})
        return f"postgresql://{SUPERUSER}@/{database}?{where}"

    async def start(self) -> None:
        """Start it, clearing away what a kill left, and wait until it takes connections."""
        await end_leftovers(self.layout)
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": str(self.layout.sockets)}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with open_log(self.layout.log) as output:
            command = [self._binaries / "postgres", "-D", self.layout.pgdata, *flags]
            self._process = spawn(command, self.account, output)
        await self._accepting()

    def beside(self, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> "Cluster":
        """Another server of the same programs and account, for it to become a copy of this one."""
        other = Cluster(folder, self._binaries, self.account, settings)
        for private in (other.layout.folder, other.layout.pgdata, other.layout.sockets):
            private.mkdir(parents=True, exist_ok=True)
            make_private(private, self.account)
        return other

    async def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's own programs to its end."""
        with open_log(self.layout.log) as output:
            process = spawn([self._binaries / program, *arguments], self.account, output)
        async with asyncio.timeout(_PROGRAM_S):
            while process.poll() is None:
                await asyncio.sleep(0.02)
        assert process.returncode == 0, self._last_words()

    async def _accepting(self) -> None:
        async with self._in_time():
            while not await self._answers():
                assert self.alive, self._last_words()
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Raises AssertionError with the end of its log."""
        try:
            async with asyncio.timeout(_START_S):
                yield
        except TimeoutError:
            raise AssertionError(f"not within {_START_S} s:\n{self._last_words()}") from None

    def _last_words(self) -> str:
        return self.layout.log.read_text(errors="replace")[-2000:]

    async def _answers(self) -> bool:
        try:
            await self.administrate("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def recovered(self) -> None:
        """Wait until it takes connections again after a crash of its own, starting it where it gave up."""
        async with self._in_time():
            while not await self._answers():
                if not self.alive:
                    await self.start()
                await asyncio.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether the postmaster runs."""
        return self._process is not None and self._process.poll() is None

    async def administrate(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each by itself."""
        connection = await asyncpg.connect(self.socket_url(database), timeout=10, command_timeout=30)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            connection.terminate()

    async def disconnect(self, database: str) -> None:
        """End every connection to it, and wait until it is gone."""
        await self.administrate(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'"
        )

    async def new_database(self) -> str:
        """A migrated database with the code tables, which the service's role may write to."""
        name = unused_name("faults")
        await self.administrate(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    async def make_template(self) -> None:
        """What `new_database` copies."""
        await self.administrate(f"CREATE DATABASE {_TEMPLATE}")
        await fill_template(self.socket_url(_TEMPLATE))
        await self.administrate(f"CREATE ROLE {APPLICATION} LOGIN IN ROLE sms_writer")

    async def stop(self) -> None:
        """Fast shutdown, as by an operator who restarts it."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGINT)
            async with asyncio.timeout(_START_S):
                while self.alive:
                    await asyncio.sleep(0.02)

    def kill(self) -> None:
        """kill -9 of the postmaster and of every backend."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP of the postmaster, then of every backend."""
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGSTOP)  # for one that was being forked meanwhile

    def resume(self) -> None:
        """SIGCONT of all."""
        self._signal(signal.SIGCONT)

    def limit_files(self, size: int | None) -> None:
        """No process may write beyond so many bytes of any file: a full disk that needs no privilege."""
        soft = "unlimited" if size is None else str(size)
        # Twice: whom the postmaster forks after the first time has inherited the limit.
        for process in chain.from_iterable(processes_of(self.layout.pgdata) for _ in range(2)):
            command = ["prlimit", f"--pid={process.pid}", f"--fsize={soft}:unlimited"]
            spawn(command, self.account, DEVNULL).wait()  # as its own user; one that has just ended does not matter

    def _signal(self, number: signal.Signals) -> None:
        postmaster = self._process.pid if self._process else 0
        found = processes_of(self.layout.pgdata)
        for process in sorted(found, key=lambda process: process.pid != postmaster):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@asynccontextmanager
async def running(folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[Cluster]:
    """A cluster that takes connections; its folder must be one that any user may enter."""
    layout = layout_of(folder)
    make_data_dir(layout)
    account = account_for(layout.pgdata)
    binaries = await usable_binaries(layout.folder, account)
    await prepare_pgdata(layout, binaries, account)
    (layout.pgdata / "pg_hba.conf").write_text(HBA, encoding="ascii")
    make_private(layout.sockets, account)
    cluster = Cluster(folder, binaries, account, settings)
    try:
        await cluster.start()
        await cluster.make_template()
        yield cluster
    finally:
        cluster.resume()
        cluster.kill()
