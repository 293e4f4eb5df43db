"""The embedded PostgreSQL's folders: whose they are, what may lie in them, and how they are reached."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from support.databases import connected
from support.embedded import keep_row, made_data_dir, open_folder, psql, renamed

from receiver.embedded import (
    BinariesError,
    DataFolderError,
    DataVersionError,
    binaries,
    database_url,
    in_use,
    log,
    running,
)
from receiver.embedded.layout import MAX_SOCKET_PATH, layout_of

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands PostgreSQL to another account")


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
async def data_dir() -> AsyncIterator[Path]:
    async with made_data_dir() as folder:
        yield folder


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


@pytest.mark.parametrize("name", ["x" * 120, "späte Daten, 100% &"], ids=["long", "odd"])
async def test_url_suits_psql_and_asyncpg_whatever_the_shell_has_set(
    base: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in {"PGPORT": "6000", "PGDATA": "/nowhere", "PGDATABASE": "nothing"}.items():
        monkeypatch.setenv(variable, value)
    with renamed(data_dir, base / name) as moved:
        sockets = Path(parse_qs(urlsplit(database_url(moved)).query)["host"][0])
        assert len(bytes(sockets / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH
        async with running(moved) as server:
            await keep_row(server.url)
            assert psql(server.url, "SELECT id FROM kept") == "7"
        shutil.rmtree(sockets)


def linked(sockets: Path) -> None:
    sockets.symlink_to(sockets.parent)


def of_another_user(sockets: Path) -> None:
    sockets.mkdir()
    os.chown(sockets, 12345, 12345)


@pytest.mark.parametrize("made", [linked, pytest.param(of_another_user, marks=only_root)])
async def test_socket_folder_that_is_not_ours_is_refused(
    base: Path, data_dir: Path, made: Callable[[Path], None]
) -> None:
    """Somebody who guesses the name below /tmp must not see the service's connections."""
    with renamed(data_dir, base / ("x" * 120)) as moved:
        sockets = layout_of(moved).sockets
        made(sockets)
        try:
            with pytest.raises(DataFolderError, match="not a folder of our own"):
                async with running(moved):
                    pass
        finally:
            sockets.unlink() if sockets.is_symlink() else sockets.rmdir()


async def test_no_parameter_of_a_failed_statement_is_logged(data_dir: Path) -> None:
    async with running(data_dir) as server, connected(server.url) as connection:
        await connection.execute("CREATE TEMPORARY TABLE once (recipient text PRIMARY KEY)")
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
    with log.open_log(path) as output:
        output.write(b"a line of the past\n")
        log.trim_log(path)
        output.write(b"now\n")
    assert path.read_text() == "now\n"
    assert (base / "postgresql.log.1").read_text() == "a line of the past\n"


async def test_a_wheel_that_is_not_whole_says_what_to_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "PACKAGE", "no_such_package")
    with pytest.raises(BinariesError, match="RECEIVER_DATABASE_URL"):
        async with running(data_dir):
            pass


@only_root
async def test_parent_closed_to_the_account_is_named(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DataFolderError, match=f"RECEIVER_DATA_DIR=.*may not enter {closed}"):
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
    async with running(data_dir):
        (made,) = copies(data_dir)
    async with running(data_dir):
        pass
    assert copies(data_dir) == [made]
