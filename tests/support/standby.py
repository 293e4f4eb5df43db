"""A hot standby of a cluster, made from a base backup, that ends a query at once where its primary clears rows away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL

from receiver.embedded.account import make_private, spawn
from receiver.embedded.layout import SUPERUSER
from support.cluster import Cluster

_HBA = "host replication all 127.0.0.1/32 trust\n"
_AT_ONCE = "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"


@asynccontextmanager
async def standby_of(primary: Cluster, folder: Path) -> AsyncIterator[Cluster]:
    """It takes connections for reading; it is killed when the block ends."""
    hba = primary.layout.pgdata / "pg_hba.conf"
    if _HBA not in (rules := hba.read_text(encoding="ascii")):
        hba.write_text(rules + _HBA, encoding="ascii")
    await primary.administrate("SELECT pg_reload_conf()")
    standby = Cluster(folder, primary._binaries, primary.account)
    for private in (standby.layout.folder, standby.layout.pgdata, standby.layout.sockets):
        private.mkdir(parents=True, exist_ok=True)
        make_private(private, primary.account)
    source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", SUPERUSER]
    command = [primary._binaries / "pg_basebackup", *source, "-D", standby.layout.pgdata, "-R", "-c", "fast"]
    assert spawn(command, primary.account, DEVNULL).wait() == 0
    with (standby.layout.pgdata / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
        settings.write(_AT_ONCE)
    try:
        await standby.start()
        yield standby
    finally:
        standby.kill()
