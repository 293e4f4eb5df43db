"""The embedded PostgreSQL, for real: it is started, broken and restarted, and what it took is still there."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from support.databases import connected
from support.embedded import (
    keep_row,
    kept_rows,
    kill_hard,
    made_data_dir,
    open_folder,
    restarted,
    start_service,
    wait_until_up,
)
from support.waiting import eventually

from receiver.embedded import DataFolderInUse, database_url, in_use, running
from receiver.embedded.account import account_for, spawn
from receiver.embedded.layout import layout_of
from receiver.embedded.processes import end_leftovers, processes_of


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
async def data_dir() -> AsyncIterator[Path]:
    async with made_data_dir() as folder:
        yield folder


async def test_a_server_is_durable_private_and_alone_and_leaves_no_process(data_dir: Path) -> None:
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "log_error_verbosity": "terse",
    }
    layout = layout_of(data_dir)
    assert not in_use(data_dir)
    async with running(data_dir) as server, connected(server.url) as connection:
        assert server.url == database_url(data_dir)
        assert await connection.fetchval("SELECT current_database()") == "receiver"
        assert {name: await connection.fetchval(f"SHOW {name}") for name in expected} == expected
        assert {folder.stat().st_mode & 0o777 for folder in (layout.pgdata, layout.sockets)} == {0o700}
        assert os.getsid(server.pid) != os.getsid(0), "Ctrl-C would reach PostgreSQL before the service has drained"
        assert in_use(data_dir)
        with pytest.raises(DataFolderInUse, match="RECEIVER_DATA_DIR") as refused:
            async with running(data_dir):
                pass
        assert str(data_dir) in str(refused.value)
        assert refused.value.pid == os.getpid()
        assert server.alive
    assert not server.alive
    assert processes_of(layout.pgdata) == []
    assert not (layout.pgdata / "postmaster.pid").exists()
    assert not in_use(data_dir)


async def test_a_failure_inside_still_stops_the_server(data_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(data_dir):
            _ = 1 / 0
    assert processes_of(layout_of(data_dir).pgdata) == []
    assert not in_use(data_dir)


async def test_cancelled_start_leaves_no_process(data_dir: Path) -> None:
    async def forever() -> None:
        async with running(data_dir):
            await asyncio.Event().wait()

    for delay in (0.0, 0.01, 0.02, 0.03, 0.2):
        task = asyncio.create_task(forever())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert processes_of(layout_of(data_dir).pgdata) == []


async def test_rows_survive_kills_of_postgres_and_a_busy_backend_does_not_block_the_next(data_dir: Path) -> None:
    async def work(url: str) -> None:
        async with connected(url) as connection:
            await connection.execute("SET max_parallel_workers_per_gather = 0")
            await connection.execute("SELECT count(*) FROM generate_series(1, 3000000000) AS n WHERE n < 0")

    async with running(data_dir) as server:
        await keep_row(server.url)
        worker = asyncio.create_task(work(server.url))
        await asyncio.sleep(0.3)
        for _ in range(2):
            pid = server.pid
            os.kill(pid, signal.SIGKILL)
            await restarted(server, pid)
            assert await kept_rows(server.url) == [7]
        (outcome,) = await asyncio.gather(worker, return_exceptions=True)
        assert isinstance(outcome, OSError | asyncpg.PostgresError)
    assert processes_of(layout_of(data_dir).pgdata) == []


async def test_postgresql_ends_with_a_killed_service(data_dir: Path) -> None:
    service = start_service(data_dir)
    wait_until_up(service)
    assert in_use(data_dir)
    await keep_row(database_url(data_dir))
    kill_hard(service)
    assert not in_use(data_dir)
    await eventually(lambda: not processes_of(layout_of(data_dir).pgdata))
    async with running(data_dir) as server:
        assert await kept_rows(server.url) == [7]


async def test_reused_pid_in_stale_files_neither_blocks_nor_dies(data_dir: Path) -> None:
    layout = layout_of(data_dir)
    stale = [layout.pgdata / "postmaster.pid", layout.sockets / ".s.PGSQL.5432.lock"]
    async with running(data_dir) as server:
        await keep_row(server.url)
        texts = [path.read_text() for path in stale]
        old_pid = str(server.pid)
    bystander = spawn(["sleep", "60"], account_for(layout.pgdata), subprocess.DEVNULL)
    try:
        for path, text in zip(stale, texts, strict=True):
            path.write_text(text.replace(old_pid, str(bystander.pid)))
        async with running(data_dir) as server:
            assert await kept_rows(server.url) == [7]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_nonsense_in_postmaster_pid(data_dir: Path) -> None:
    """A crash of the machine can leave the file empty or with another file's bytes."""
    layout = layout_of(data_dir)
    file = layout.pgdata / "postmaster.pid"
    for content in ("\n", "not a pid\n", "999999999999999999999\n"):
        file.write_text(content)
        await end_leftovers(layout)
        assert not file.exists(), content
    file.write_text("")
    async with running(data_dir) as server:
        assert server.alive


def leftovers(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("postgresql.init-*"))


async def test_service_killed_during_initdb(base: Path) -> None:
    data_dir = base / "parent" / "fresh"
    service = start_service(data_dir)
    await eventually(lambda: any((folder / "base").exists() for folder in leftovers(data_dir)))
    kill_hard(service)
    assert not layout_of(data_dir).pgdata.exists()
    async with running(data_dir) as server:
        await keep_row(server.url)
    async with running(data_dir) as server:  # by now no initdb of the killed service writes there any more
        assert await kept_rows(server.url) == [7]
    assert leftovers(data_dir) == []
