"""Creates the data folder and PostgreSQL's own in it, atomically."""

import asyncio
import os
import shutil
from pathlib import Path
from subprocess import Popen
from tempfile import mkdtemp
from typing import Final

from receiver.embedded.account import Account, make_owned, spawn
from receiver.embedded.binaries import MAJOR
from receiver.embedded.errors import DataFolderError, DataVersionError, StartFailed
from receiver.embedded.layout import SUPERUSER, Layout
from receiver.embedded.log import open_log, tail

_INITDB_S: Final = 300.0
_STAGING: Final = "postgresql.init-"

_DEFAULTS: Final = {
    "shared_buffers": "256MB",
    "max_connections": "50",
    # The first change of a page after a checkpoint writes the whole page to the WAL, and message ids are random: with
    # many reports stored, a checkpoint every gigabyte slows down writes. The price is space, and a longer recovery.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    # /dev/shm is 64 MB in a container, and systemd empties an ordinary user's share of it at logout.
    "dynamic_shared_memory_type": "mmap",
    "log_checkpoints": "off",
}
"""Written to postgresql.conf once; an operator may change them there."""

_INITDB: Final = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    # PostgreSQL's own collation: an upgrade of the C library cannot change the order of an index.
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--data-checksums",
    # The socket is in a private folder.
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
    *(f"--set={name}={value}" for name, value in _DEFAULTS.items()),
)


def make_data_dir(layout: Layout) -> None:
    """Make the data folder, 0700, or 0711 as root so that the server's account may pass; an existing one stays."""
    if layout.folder.is_dir():
        return
    layout.folder.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        layout.folder.chmod(0o711)


async def prepare_pgdata(layout: Layout, binaries: Path, account: Account) -> None:
    """Ensure a complete PostgreSQL folder of our major version at `layout.pgdata`. The caller holds the lock.

    Raises `DataFolderError`, `DataVersionError`, `StartFailed`.
    """
    for leftover in layout.folder.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if not layout.pgdata.exists() or not any(layout.pgdata.iterdir()):
        await _init(layout, binaries, account)
    check_version(layout.pgdata)


async def _init(layout: Layout, binaries: Path, account: Account) -> None:
    """Build under a temporary name and rename the complete folder: initdb has fsynced everything in it."""
    staging = Path(mkdtemp(prefix=_STAGING, dir=layout.folder))
    try:
        make_owned(staging, account)
        with open_log(layout.log) as output:
            process = spawn([binaries / "initdb", f"--pgdata={staging}", *_INITDB], account, output)
        await _finish(process, layout.log)
        _publish(staging, layout.pgdata)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


async def _finish(process: Popen[bytes], log: Path) -> None:
    try:
        async with asyncio.timeout(_INITDB_S):
            while process.poll() is None:
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise StartFailed(f"initdb did not finish within {_INITDB_S:.0f} s.") from error
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise StartFailed(f"initdb could not make the data folder:\n{tail(log)}")


def check_version(pgdata: Path) -> None:
    """Raises DataVersionError for a folder of another major version, DataFolderError for another kind of folder."""
    try:
        found = (pgdata / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise DataFolderError(
            f"{pgdata} is not a data folder of PostgreSQL, nor empty: move away what is in it"
        ) from error
    if found != str(MAJOR):
        raise DataVersionError(
            f"it was made by PostgreSQL {found}, and this release runs PostgreSQL {MAJOR}: dump it with version {found}"
            " and restore the dump into a new folder, or set another"
        )


def _publish(staging: Path, pgdata: Path) -> None:
    staging.rename(pgdata)
    fd = os.open(pgdata.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
