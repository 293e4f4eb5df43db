"""The embedded PostgreSQL, for real: it is started, broken and restarted, and what it took is still there."""

import asyncio
import os
import signal
import subprocess
import time
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
from receiver.embedded.processes import processes_of


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
async def data_dir() -> AsyncIterator[Path]:
    async with made_data_dir() as folder:
        yield folder


async def test_fresh_start_then_restart(base: Path) -> None:
    data_dir = base / "parent" / "fresh"
    assert not in_use(data_dir)
    for what in ("fresh start", "restart"):
        began = time.perf_counter()
        async with running(data_dir) as server:
            print(f"{what}: {time.perf_counter() - began:.3f} s")  # noqa: T201 - for whoever runs pytest -s
            assert server.alive
            assert server.url == database_url(data_dir)
            async with connected(server.url) as connection:
                assert await connection.fetchval("SELECT current_database()") == "receiver"
        assert not server.alive


async def test_durable_private_and_in_utc(data_dir: Path) -> None:
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
    async with running(data_dir) as server, connected(server.url) as connection:
        shown = {name: await connection.fetchval(f"SHOW {name}") for name in expected}
        layout = layout_of(data_dir)
        modes = {folder: folder.stat().st_mode & 0o777 for folder in (layout.pgdata, layout.sockets)}
        session = os.getsid(server.pid)
    assert shown == expected
    assert set(modes.values()) == {0o700}
    assert session != os.getsid(0), "Ctrl-C would reach PostgreSQL before the service has drained"


async def test_shutdown_leaves_no_process_and_a_clean_folder(data_dir: Path) -> None:
    async with running(data_dir) as server, connected(server.url):
        assert processes_of(layout_of(data_dir).pgdata)
    assert processes_of(layout_of(data_dir).pgdata) == []
    assert not (layout_of(data_dir).pgdata / "postmaster.pid").exists()


async def test_failure_inside_still_stops_the_server(data_dir: Path) -> None:
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


async def test_rows_survive_kill_of_postgres(data_dir: Path) -> None:
    async with running(data_dir) as server:
        await keep_row(server.url)
        for _ in range(2):
            pid = server.pid
            os.kill(pid, signal.SIGKILL)
            began = time.perf_counter()
            await restarted(server, pid)
            print(f"back after kill -9: {time.perf_counter() - began:.3f} s")  # noqa: T201
            assert await kept_rows(server.url) == [7]


async def test_busy_backend_of_a_killed_postmaster_does_not_block(data_dir: Path) -> None:
    async def work(url: str) -> None:
        async with connected(url) as connection:
            await connection.execute("SET max_parallel_workers_per_gather = 0")
            await connection.execute("SELECT count(*) FROM generate_series(1, 3000000000) AS n WHERE n < 0")

    async with running(data_dir) as server:
        worker = asyncio.create_task(work(server.url))
        await asyncio.sleep(0.3)
        pid = server.pid
        os.kill(pid, signal.SIGKILL)
        await restarted(server, pid)
        (outcome,) = await asyncio.gather(worker, return_exceptions=True)
        assert isinstance(outcome, OSError | asyncpg.PostgresError)


async def test_orphan_of_a_killed_service_is_replaced(data_dir: Path) -> None:
    service = start_service(data_dir)
    wait_until_up(service)
    assert in_use(data_dir)
    await keep_row(database_url(data_dir))
    kill_hard(service)
    assert not in_use(data_dir)
    orphans = {process.pid for process in processes_of(layout_of(data_dir).pgdata)}
    assert orphans, "PostgreSQL should outlive a service that was killed: that is the case under test"

    async with running(data_dir) as server:
        assert await kept_rows(server.url) == [7]
        assert orphans.isdisjoint(process.pid for process in processes_of(layout_of(data_dir).pgdata))


async def test_second_service_on_one_folder_is_refused(data_dir: Path) -> None:
    assert not in_use(data_dir)
    async with running(data_dir) as server:
        assert in_use(data_dir)
        with pytest.raises(DataFolderInUse, match="RECEIVER_DATA_DIR") as refused:
            async with running(data_dir):
                pass
        assert str(data_dir) in str(refused.value)
        assert refused.value.pid == os.getpid()
        assert server.alive
    assert not in_use(data_dir)


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


@pytest.mark.parametrize("content", ["", "\n", "not a pid\n", "999999999999999999999\n"])
async def test_nonsense_in_postmaster_pid(data_dir: Path, content: str) -> None:
    """A crash of the machine can leave the file empty or with another file's bytes."""
    (layout_of(data_dir).pgdata / "postmaster.pid").write_text(content)
    async with running(data_dir) as server:
        assert server.alive


def leftovers(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("postgresql.init-*"))


async def test_service_killed_during_initdb(base: Path) -> None:
    data_dir = base / "fresh"
    service = start_service(data_dir)
    await eventually(lambda: any((folder / "base").exists() for folder in leftovers(data_dir)))
    kill_hard(service)
    assert not layout_of(data_dir).pgdata.exists()
    async with running(data_dir) as server:
        await keep_row(server.url)
    async with running(data_dir) as server:
        assert await kept_rows(server.url) == [7]
    assert leftovers(data_dir) == []
