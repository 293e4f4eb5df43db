"""Disks fill up and are freed: PostgreSQL's, the spool's, and the spool's own limit.

Where a small tmpfs can be mounted (root, outside of most containers) it is the full disk. The same is played without
any privilege by a limit on the size of files, and by the spool's setting, so that no fault goes untried for a lack of
rights: test_postgresql.py starves PostgreSQL by such a limit, and here it is the service's turn.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import rig as rigs
from support.cluster import Cluster
from support.rig import Loaded, Rig

_MUCH_MEMORY_MIB = 500
_SENT_AWAY_S = 120.0


@contextmanager
def tmpfs(folder: Path, mib: int, uid: int = 0) -> Iterator[None]:
    """A small disk; skips the test where none may be mounted."""
    folder.mkdir(mode=0o700)
    options = f"size={mib}m,mode=0700,uid={uid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here; a limit on file sizes stands in for the full disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte left on the disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    try:
        yield
    finally:
        filler.unlink()


async def _sent_away(rig: Rig, requests: int) -> None:
    """Wait until so many more requests were answered 503."""
    wanted = rig.load.ledger().statuses()["503"] + requests
    async with asyncio.timeout(_SENT_AWAY_S):
        while rig.load.ledger().statuses()["503"] < wanted:
            await rig.load.answered(1)


async def test_postgresqls_disk_full_and_freed(fragile: Cluster, open_folder: Path, loaded: Loaded) -> None:
    owner = fragile.layout.pgdata.stat().st_uid
    with tmpfs(open_folder / "postgresql-disk", 24, owner):
        await fragile.administrate(f"CREATE TABLESPACE small LOCATION '{open_folder / 'postgresql-disk'}'")
        async with loaded() as rig:
            await rig.move_database("small")
            with rig.phase("PostgreSQL's disk full"), filled(open_folder / "postgresql-disk"):
                await rig.service.spooling(100)
            await rig.service.drained()
            await rig.load.answered(50)
            await rig.check(every_one_ok=True)
        await fragile.administrate(f"DROP DATABASE {rig.database} WITH (FORCE)", "DROP TABLESPACE small")


async def test_spools_disk_full_and_freed(loaded: Loaded, open_folder: Path) -> None:
    disk = open_folder / "spool-disk"
    with tmpfs(disk, 80):
        async with loaded(data_dir=disk) as rig:
            await rig.proxy.set("cut")
            await rig.service.spooling()
            with rig.phase("spool's disk full too"), filled(disk):
                await _sent_away(rig, 100)
            with rig.phase("its disk freed"):
                await rig.load.answered(100)
            await rig.proxy.set("pass")
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(50)
            await rig.check()


async def test_the_spools_file_cannot_be_written_to(loaded: Loaded) -> None:
    """The same for everybody: each write of the service to a file fails (EFBIG)."""
    async with loaded() as rig:
        await rig.proxy.set("cut")
        await rig.service.spooling(20)
        with rig.phase("no file may grow"):
            rig.service.limit_files(4096)
            await _sent_away(rig, 100)
        with rig.phase("PostgreSQL back before the disk"):
            await rig.proxy.set("pass")
            # What is in the spool reaches PostgreSQL, again and again, but can't be deleted.
            await rig.service.until(lambda answer: answer["database"])
            await rig.load.answered(50)
        with rig.phase("files may grow again"):
            rig.service.limit_files(None)
            await rig.service.drained()
            await rig.load.answered(20)
        await rig.check()


async def test_the_spool_is_at_its_limit_and_postgresql_hangs(loaded: Loaded) -> None:
    async with loaded(spool_max_bytes=256 * 1024, rate=400) as rig:
        before = rig.service.memory_mib()
        with rig.phase("nothing can keep a report"):
            await rig.proxy.set("blackhole")
            await _sent_away(rig, 500)
            after = rig.service.memory_mib()
            rig.say(f"  memory {before:.0f} MiB before, {after:.0f} MiB with nowhere to put a report")
        await rig.proxy.set("pass")
        await rig.service.drained()
        with rig.phase("PostgreSQL is back"):
            await rig.load.answered(100)
        ledger = await rig.check()
        assert {a.status for a in ledger.attempts.values() if a.outcome != "ok"} == {"503"}
        assert after < _MUCH_MEMORY_MIB
        assert ledger.percentiles()["max"] < rigs.NO_HANG_S
