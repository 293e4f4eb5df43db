"""A server's archive of WAL, a base backup, and recovery from both to a time, by PostgreSQL's own programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from receiver.embedded.account import make_private
from receiver.embedded.layout import SUPERUSER
from support.cluster import Cluster
from support.databases import connected
from support.standby import allow_replication
from support.waiting import eventually

ARCHIVES: Final = {"archive_mode": "on"}
"""Takes effect with a start; the command may come later."""


class Archive:
    """`of` a server that `ARCHIVES`."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    @classmethod
    async def of(cls, cluster: Cluster, folder: Path) -> Self:
        """From now on its WAL goes there."""
        make_private(folder, cluster.account)
        # Under its name a file is whole: a recovery takes what it finds, and gives up where that is half of one.
        command = f"test ! -f {folder}/%f && cp %p {folder}/%f.part && mv {folder}/%f.part {folder}/%f"
        await cluster.administrate(f"ALTER SYSTEM SET archive_command = '{command}'")
        await allow_replication(cluster)  # which reloads
        return cls(cluster, folder)

    async def back_up(self, folder: Path) -> Cluster:
        """A base backup, where a server may be started from it."""
        backup = self._cluster.beside(folder, ARCHIVES)
        source = ["-h", "127.0.0.1", "-p", str(self._cluster.port), "-U", SUPERUSER]
        await backup.run("pg_basebackup", *source, "-D", backup.layout.pgdata, "-c", "fast", "--no-sync")
        return backup

    async def complete(self) -> None:
        """Have the last of the WAL archived too."""
        async with connected(self._cluster.socket_url("postgres")) as sql:
            last = await sql.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
        await eventually((self._folder / last).exists)

    @asynccontextmanager
    async def recovered(self, backup: Cluster, until: float) -> AsyncIterator[Cluster]:
        """The backup, as its server was at that time (Unix seconds), and open for writes."""
        settings = {
            "restore_command": f"cp {self._folder}/%f %p",
            "recovery_target_time": datetime.fromtimestamp(until, UTC).isoformat(),
            "recovery_target_action": "promote",
        }
        with (backup.layout.pgdata / "postgresql.auto.conf").open("a", encoding="ascii") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (backup.layout.pgdata / "recovery.signal").touch()
        try:
            await backup.start()
            async with connected(backup.socket_url("postgres")) as sql:
                await eventually(lambda: sql.fetchval("SELECT NOT pg_is_in_recovery()"))
            yield backup
        finally:
            backup.kill()
