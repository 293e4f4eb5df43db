"""The embedded PostgreSQL as its tests treat it: folders, services that are killed, a row that has to survive."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from receiver.embedded import binaries, running
from receiver.embedded.server import EmbeddedServer
from support.databases import connected
from support.waiting import eventually

SERVICE = """
import asyncio, sys
from pathlib import Path
from receiver.embedded import running

async def main():
    async with running(Path(sys.argv[1])):
        print("up", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """Not `tmp_path`, whose parent is closed to the account that PostgreSQL runs as when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a process that was killed may still write there


@asynccontextmanager
async def made_data_dir() -> AsyncIterator[Path]:
    """A data folder for all tests that leave it whole: initdb costs more than most of them."""
    with open_folder() as folder:
        async with running(folder / "data"):
            pass
        yield folder / "data"


@contextmanager
def renamed(path: Path, name: Path) -> Iterator[Path]:
    path.rename(name)
    try:
        yield name
    finally:
        name.rename(path)


async def keep_row(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("DROP TABLE IF EXISTS kept")
        await connection.execute("CREATE TABLE kept (id int)")
        await connection.execute("INSERT INTO kept VALUES (7)")


async def kept_rows(url: str) -> list[int]:
    async with connected(url) as connection:
        return [row["id"] for row in await connection.fetch("SELECT id FROM kept")]


async def restarted(server: EmbeddedServer, old_pid: int) -> None:
    """Wait until another process answers: the pid alone changes before it takes connections."""
    await eventually(lambda: server.pid != old_pid)
    async with asyncio.timeout(30):
        while True:
            try:
                async with connected(server.url):
                    return
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)


def start_service(data_dir: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SERVICE, str(data_dir)], stdout=subprocess.PIPE, text=True)


def wait_until_up(service: "subprocess.Popen[str]") -> None:
    assert service.stdout is not None
    assert any(line == "up\n" for line in service.stdout)


def kill_hard(service: "subprocess.Popen[str]") -> None:
    service.kill()
    service.communicate()


def psql(url: str, sql: str) -> str:
    program = binaries._bin(binaries._site_folder()) / "psql"
    return subprocess.run(
        [program, "-X", "-Atc", sql, url], check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()
