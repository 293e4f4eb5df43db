"""A primary and its standby, that change places, by PostgreSQL's own programs."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from receiver.embedded.account import make_private
from receiver.embedded.layout import SUPERUSER
from support import cluster as clusters
from support import proxy as proxies
from support.cluster import APPLICATION, Cluster
from support.databases import connected
from support.proxy import Proxy
from support.standby import allow_replication, base_backup
from support.waiting import eventually

_NAMES: Final = ("node_0", "node_1")
_SETTINGS: Final = {"track_commit_timestamp": "on"}
"""When each report was committed."""
_KEEP: Final = "ALTER SYSTEM SET wal_keep_size = '512MB'"
"""In the file: the server that pg_rewind starts for itself must read it too, or it removes what pg_rewind needs."""

_FOLLOWS: Final = """
SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn >= $1 AND {})
"""
_RECEIVES: Final = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE sender_port = $1 AND status = 'streaming')"
_SYNCHRONOUS: Final = "sync_state IN ('sync', 'quorum')"


class Pair:
    """Whichever of the two is the primary, they are reached by one URL."""

    def __init__(self, primary: Cluster, standby: Cluster) -> None:
        self.nodes = (primary, standby)
        self.primary, self.standby = self.nodes
        self._numbers = count()

    def url(self, database: str) -> str:
        """Of the service: both hosts, and whichever of them may be written to."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{APPLICATION}@{hosts}/{database}?target_session_attrs=read-write"

    async def synchronous(self, *, wanted: bool = True) -> None:
        """A commit waits for the standby from now on, which has all that was committed before; or none waits."""
        names = f"ANY 1 ({', '.join(_NAMES)})" if wanted else ""
        # The checkpointer tells the backends of that setting, and it has read it when it makes a checkpoint.
        statements = (
            f"ALTER SYSTEM SET synchronous_standby_names = '{names}'",
            "SELECT pg_reload_conf()",
            "CHECKPOINT",
        )
        await self.primary.administrate(*statements)
        if wanted:
            await self.follows(_SYNCHRONOUS)

    async def follows(self, how: str = "true") -> None:
        """Wait until the standby has on its disk all that is committed by now."""
        async with connected(self.primary.socket_url("postgres")) as sql:
            now = await sql.fetchval("SELECT pg_current_wal_flush_lsn()")
            await eventually(lambda: sql.fetchval(_FOLLOWS.format(how), now))

    @asynccontextmanager
    async def proxied(self) -> AsyncIterator[Proxy]:
        """The network between the two, to be broken; the standby is on its way through it when the block begins."""
        async with proxies.running(self.primary.port) as proxy:
            through = f"host=127.0.0.1 port={proxy.port} user={SUPERUSER}"
            await self.standby.administrate(
                f"ALTER SYSTEM SET primary_conninfo = '{through}'", "SELECT pg_reload_conf()"
            )
            async with connected(self.standby.socket_url("postgres")) as sql:
                await eventually(lambda: sql.fetchval(_RECEIVES, proxy.port))
            yield proxy

    async def promote(self) -> None:
        """The standby is the primary from now on, and waits for nobody."""
        await self.standby.run("pg_ctl", "promote", "-D", self.standby.layout.pgdata)
        self.primary, self.standby = self.standby, self.primary

    async def rejoin(self, *, anew: bool) -> None:
        """What was the primary, and is dead, becomes the standby: its folder is rewound, or copied anew."""
        pgdata = self.standby.layout.pgdata
        if anew:
            shutil.rmtree(pgdata)
            make_private(pgdata, self.standby.account)
            await base_backup(self.primary, self.standby)
        else:
            source = f"host=127.0.0.1 port={self.primary.port} user={SUPERUSER} dbname=postgres"
            await self.standby.run("pg_rewind", "-D", pgdata, f"--source-server={source}", "-R", "--no-sync")
        with (pgdata / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
            settings.write("synchronous_standby_names = ''\n")  # promoted, it waits for nobody
        await self.standby.start()

    def back(self) -> None:
        """Both are dead: what was the primary before the last promotion is to be it again."""
        self.primary, self.standby = self.standby, self.primary


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pair]:
    """A primary and a standby that follows it; no commit waits for that one yet."""
    async with clusters.running(folder / _NAMES[0], _SETTINGS | {"cluster_name": _NAMES[0]}) as primary:
        await primary.administrate(_KEEP)
        await allow_replication(primary)
        standby = primary.beside(folder / _NAMES[1], _SETTINGS | {"cluster_name": _NAMES[1]})
        await base_backup(primary, standby)
        try:
            await standby.start()
            pair = Pair(primary, standby)
            await pair.follows()
            yield pair
        finally:
            standby.resume()
            standby.kill()
