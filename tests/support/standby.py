"""Standbys of a cluster, made from a base backup."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from receiver.embedded.layout import SUPERUSER
from support.cluster import Cluster

_HBA = "host replication all 127.0.0.1/32 trust\n"
_AT_ONCE = "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"


async def allow_replication(primary: Cluster) -> None:
    """Let standbys and base backups connect."""
    hba = primary.layout.pgdata / "pg_hba.conf"
    if _HBA not in (rules := hba.read_text(encoding="ascii")):
        hba.write_text(rules + _HBA, encoding="ascii")
    await primary.administrate("SELECT pg_reload_conf()")


async def base_backup(primary: Cluster, standby: Cluster) -> None:
    """Fill the standby's folder: started, it follows the primary."""
    source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", SUPERUSER]
    await standby.run("pg_basebackup", *source, "-D", standby.layout.pgdata, "-R", "-c", "fast", "--no-sync")


@asynccontextmanager
async def standby_of(primary: Cluster, folder: Path) -> AsyncIterator[Cluster]:
    """It takes connections for reading, and ends a query at once where its primary clears rows away.

    It is killed when the block ends.
    """
    await allow_replication(primary)
    standby = primary.beside(folder)
    await base_backup(primary, standby)
    with (standby.layout.pgdata / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
        settings.write(_AT_ONCE)
    try:
        await standby.start()
        yield standby
    finally:
        standby.kill()
