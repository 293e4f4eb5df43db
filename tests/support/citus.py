"""A Citus of the tests' own: a coordinator and workers, each a PostgreSQL that can be killed and paused by itself.

The environment variable names the programs; where it is unset, what needs them is skipped.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Final

import asyncpg
import pytest

from receiver.embedded.account import Account, account_for, make_private, spawn
from receiver.embedded.datafolder import make_data_dir
from receiver.embedded.layout import SUPERUSER
from receiver.embedded.log import open_log
from receiver.store.maintenance import counts
from support.cluster import HBA, Cluster, unused_name

VARIABLE: Final = "RECEIVER_TEST_CITUS"
"""Environment variable with the folder of `initdb` and `postgres` of a PostgreSQL that has the extension Citus."""

ALL: Final = os.environ.get("TEST_ON_CITUS") == "yes"
"""Whether every test that asks a PostgreSQL is to run on Citus, in a distributed schema: `make test-citus`."""

_CHOSEN: Final = os.environ.get(VARIABLE)
"""Read here: a test runs without any variable of this prefix."""

WITHOUT: Final = f"needs Citus: set {VARIABLE} to the folder of the programs of a PostgreSQL that has this extension"

_HOST: Final = "127.0.0.1"
_INIT_S: Final = 60.0
_DROP_S: Final = 120.0
_INITDB: Final = (f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
_SETTINGS: Final = {
    "shared_preload_libraries": "citus",
    "wal_level": "logical",
    "max_connections": "100",
    "max_prepared_transactions": "200",
    "max_worker_processes": "64",  # each database has a daemon
    "jit": "off",
    "timezone": "UTC",
    "citus.shard_count": "4",
    "citus.local_hostname": _HOST,
    "citus.enable_statistics_collection": "off",
    "citus.recover_2pc_interval": "2s",
    "citus.node_connection_timeout": "5s",
    "track_commit_timestamp": "on",
}
SHARDS: Final = 4
"""Of each table of the template."""

_TEMPLATE: Final = "template_citus"

Fill = Callable[[str], Awaitable[None]]
"""Is given the URL of a database, and fills it."""


def chosen() -> Path:
    """The folder of the programs that the environment names; skips the test where it names none."""
    if not _CHOSEN:
        pytest.skip(WITHOUT)
    return Path(_CHOSEN)


class Citus(Cluster):
    """The coordinator, which is what a service is given; `workers` are further clusters."""

    def __init__(self, folder: Path, binaries: Path, account: Account) -> None:
        folder.mkdir(mode=0o711, parents=True)
        super().__init__(folder / "coordinator", binaries, account, _SETTINGS)
        self.workers: list[Cluster] = []
        self._parent = folder

    @property
    def nodes(self) -> list[Cluster]:
        return [self, *self.workers]

    async def begin(self, workers: int) -> None:
        """Start the coordinator and so many workers; no database knows of them yet."""
        await self._init(self)
        for _ in range(workers):
            await self.new_worker()

    async def new_worker(self) -> Cluster:
        """One more PostgreSQL; `join` makes it a node of a database."""
        worker = Cluster(self._parent / f"worker-{len(self.workers) + 1}", self._binaries, self.account, _SETTINGS)
        self.workers.append(worker)
        await self._init(worker)
        return worker

    async def _init(self, node: Cluster) -> None:
        layout = node.layout
        make_data_dir(layout)
        make_private(layout.pgdata, self.account)
        make_private(layout.sockets, self.account)
        with open_log(layout.log) as output:
            made = spawn([self._binaries / "initdb", f"--pgdata={layout.pgdata}", *_INITDB], self.account, output)
        assert await _ended(made) == 0, layout.log.read_text()
        (layout.pgdata / "pg_hba.conf").write_text(HBA, encoding="ascii")
        await node.start()

    async def join(self, worker: Cluster, database: str) -> None:
        """Make the worker a node of a database, which it gets for that; shards move when they are told to."""
        await _with_extension(worker, database)
        await self.administrate(f"SELECT citus_add_node('{_HOST}', {worker.port})", database=database)

    async def empty_database(self, name: str) -> str:
        """A database of all nodes with nothing in it; its name."""
        for node in self.nodes:
            await _with_extension(node, name)
        joining = [f"SELECT citus_add_node('{_HOST}', {worker.port})" for worker in self.workers]
        await self.administrate(f"SELECT citus_set_coordinator_host('{_HOST}', {self.port})", *joining, database=name)
        return name

    async def make_distributed_template(self, fill: Fill, template: str = _TEMPLATE) -> None:
        """What `new_database` copies: filled by its URL."""
        await fill(self.socket_url(await self.empty_database(template)))

    async def new_database(self, template: str = _TEMPLATE) -> str:
        """A copy of the template on every node: its metadata name the same nodes and shards, so they are true in it.

        Nobody may be connected to the template meanwhile, and each has a daemon that is.
        """
        name = unused_name("citus")
        await self.create_database(name, template)
        return name

    async def create_database(self, name: str, template: str | None = None) -> None:
        """On every node: a copy of the template, or an empty one."""
        if template is None:
            await self.empty_database(name)
            return
        await asyncio.gather(*(_copied(node, template, name) for node in self.nodes))
        # As migrate has set them for the template: settings are not copied.
        await self.administrate(
            f"ALTER DATABASE {name} SET citus.override_table_visibility = off",
            f"ALTER DATABASE {name} SET citus.propagate_set_commands = local",
        )

    async def administrate_each(self, *statements: str) -> None:
        """On every node."""
        await asyncio.gather(*(node.administrate(*statements) for node in self.nodes))

    async def drop_database(self, name: str) -> None:
        """On every node."""
        await asyncio.gather(*(_dropped(node, name) for node in self.nodes))


async def _with_extension(node: Cluster, database: str) -> None:
    await node.administrate(f"CREATE DATABASE {database}")
    await node.administrate("CREATE EXTENSION citus", database=database)


async def _copied(node: Cluster, template: str, name: str) -> None:
    await node.administrate(
        f"ALTER DATABASE {template} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{template}'",
        f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY",
    )


async def _dropped(node: Cluster, name: str) -> None:
    """A daemon or a connection of another node may be back before it is dropped."""
    async with asyncio.timeout(_DROP_S):
        while True:
            with suppress(asyncpg.ObjectInUseError):
                return await node.administrate(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _ended(process: Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, _INIT_S)


@asynccontextmanager
async def running(folder: Path, binaries: Path, *, workers: int = 2) -> AsyncIterator[Citus]:
    """A coordinator and its workers; the folder must be one that any user may enter."""
    citus = Citus(folder, binaries, account_for(folder / "none"))
    try:
        await citus.begin(workers)
        yield citus
    finally:
        for node in citus.nodes:
            node.resume()
            node.kill()


async def count_by_hand(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Count what a test has written into the messages' table itself: no trigger does on Citus."""
    if ALL:
        await counts.recount(connection)


@asynccontextmanager
async def connected(citus: Citus, database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The superuser's, by the coordinator's socket."""
    connection = await asyncpg.connect(citus.socket_url(database))
    try:
        yield connection
    finally:
        connection.terminate()
