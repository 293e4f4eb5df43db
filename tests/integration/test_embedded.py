"""The embedded PostgreSQL, for real: every test makes, breaks and restarts servers of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from receiver.store.embedded import (
    BinariesError,
    DataFolderError,
    DataFolderInUse,
    DataVersionError,
    EmbeddedServer,
    binaries,
    database_url,
    in_use,
    log,
    running,
)
from receiver.store.embedded.account import account_for, spawn
from receiver.store.embedded.layout import MAX_SOCKET_PATH, layout_of
from receiver.store.embedded.processes import processes_of

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands PostgreSQL to another account")

SERVICE = """
import asyncio, sys
from pathlib import Path
from receiver.store.embedded import running

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
        shutil.rmtree(folder)


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
async def data_dir() -> AsyncIterator[Path]:
    """One for all tests that leave it whole: initdb costs more than most of them."""
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


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def keep_row(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("DROP TABLE IF EXISTS kept")
        await connection.execute("CREATE TABLE kept (id int)")
        await connection.execute("INSERT INTO kept VALUES (7)")


async def kept_rows(url: str) -> list[int]:
    async with connected(url) as connection:
        return [row["id"] for row in await connection.fetch("SELECT id FROM kept")]


async def eventually(holds: Callable[[], bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.02)


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


async def test_other_major_version_is_refused(data_dir: Path) -> None:
    version = layout_of(data_dir).pgdata / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(DataVersionError, match=r"PostgreSQL 17, and this release runs PostgreSQL 18"):
            async with running(data_dir):
                pass
        assert not in_use(data_dir)
    finally:
        version.write_text("18\n")


async def test_foreign_files_are_not_overwritten(data_dir: Path) -> None:
    version = layout_of(data_dir).pgdata / "PG_VERSION"
    with renamed(version, version.with_name("holiday.jpg")) as precious:
        with pytest.raises(DataFolderError, match="not a data folder of PostgreSQL"):
            async with running(data_dir):
                pass
        assert precious.exists()


@pytest.mark.parametrize("name", ["plain", "x" * 120, "späte Daten, 100% &"], ids=["plain", "long", "odd"])
async def test_url_suits_psql_and_asyncpg(base: Path, data_dir: Path, name: str) -> None:
    with renamed(data_dir, base / name) as moved:
        sockets = Path(parse_qs(urlsplit(database_url(moved)).query)["host"][0])
        assert len(bytes(sockets / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH
        async with running(moved) as server:
            await keep_row(server.url)
            assert psql(server.url, "SELECT id FROM kept") == "7"
        shutil.rmtree(sockets)


async def test_socket_folder_that_is_not_ours_is_refused(base: Path, data_dir: Path) -> None:
    """Somebody who guesses the name below /tmp must not see the service's connections."""
    with renamed(data_dir, base / ("x" * 120)) as moved:
        sockets = layout_of(moved).sockets
        sockets.symlink_to(base)
        try:
            with pytest.raises(DataFolderError, match="not a folder of our own"):
                async with running(moved):
                    pass
        finally:
            sockets.unlink()


async def test_shell_variables_change_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGDATABASE", "nothing")
    async with running(data_dir) as server:
        await keep_row(server.url)
        assert psql(server.url, "SELECT id FROM kept") == "7"


async def test_no_parameter_of_a_failed_statement_is_logged(data_dir: Path) -> None:
    async with running(data_dir) as server, connected(server.url) as connection:
        await connection.execute("DROP TABLE IF EXISTS once")
        await connection.execute("CREATE TABLE once (recipient text PRIMARY KEY)")
        await connection.execute("INSERT INTO once VALUES ($1)", "+8615500005678")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO once VALUES ('+8615500005678')")
    written = layout_of(data_dir).log.read_text()
    assert "duplicate key" in written
    assert "15500005678" not in written


def test_log_is_bounded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_LOG_BYTES", 10)
    path = base / "postgresql.log"
    log.trim_log(path)
    with log.opened_log(path) as output:
        output.write(b"a line of the past\n")
        log.trim_log(path)
        output.write(b"now\n")
    assert path.read_text() == "now\n"
    assert (base / "postgresql.log.1").read_text() == "a line of the past\n"


async def test_missing_wheel_says_what_to_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_PACKAGE", "no_such_package")
    with pytest.raises(BinariesError, match="RECEIVER_DATABASE_URL"):
        async with running(data_dir):
            pass


@only_root
async def test_socket_folder_of_another_user_is_refused(base: Path, data_dir: Path) -> None:
    with renamed(data_dir, base / ("x" * 120)) as moved:
        sockets = layout_of(moved).sockets
        sockets.mkdir()
        os.chown(sockets, 12345, 12345)
        try:
            with pytest.raises(DataFolderError, match="not a folder of our own"):
                async with running(moved):
                    pass
        finally:
            sockets.rmdir()


@only_root
async def test_parent_closed_to_the_account_is_named(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DataFolderError, match=f"may not enter {closed}.*RECEIVER_DATA_DIR"):
        async with running(closed / "data"):
            pass
    assert closed.stat().st_mode & 0o777 == 0o700


def copies(data_dir: Path) -> list[tuple[str, int]]:
    """Their inodes too: a second copy would have the first one's name."""
    return [(path.name, path.stat().st_ino) for path in data_dir.glob("postgresql-18.*")]


@only_root
async def test_wheel_out_of_the_accounts_reach_is_copied_once(
    base: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    (closed / "site").symlink_to(binaries._site_folder())
    monkeypatch.setattr(binaries, "_site_folder", lambda: closed / "site")
    async with running(data_dir) as server:
        await keep_row(server.url)
    (made,) = copies(data_dir)
    async with running(data_dir) as server:
        assert await kept_rows(server.url) == [7]
    assert copies(data_dir) == [made]
