"""`receiver check`: each fault of a real set-up is a finding with what to do, and looking changes nothing."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import service as services
from support.checking import SECRET, checking, listening
from support.cluster import free_port
from support.databases import administrate
from support.preloaded import Commands

from receiver.checks import database as database_checks
from receiver.checks.finding import Check, blocking, findings_of
from receiver.checks.given import given
from receiver.settings import Settings
from receiver.store.schema import head
from receiver.store.spool_file import SpoolFile
from receiver.store.spool_folders import main_folder, worker_folder


@pytest.fixture
def check(commands: Commands, tmp_path: Path, database: str) -> Callable[..., Any]:
    return checking(commands, tmp_path / "data", database)


async def test_where_all_is_well_it_says_so_and_changes_nothing(check, tmp_path: Path) -> None:
    found = await check()
    assert inside(tmp_path) == []
    assert [one for one in found.all if one["level"] == "error"] == []
    for subject in (
        "settings",
        "data folder",
        "spool",
        "database",
        "clock",
        "schema",
        "rights",
        "ports",
        "connections",
    ):
        assert found(subject, "ok"), subject
    assert f"at {head()}, " in found("schema", "ok")


async def test_it_needs_no_right_to_write(check, database: str) -> None:
    name = urlsplit(database).path[1:]
    await administrate(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    found = await check()
    assert [one["what"][:29] for one in found.all if one["level"] == "error"] == ["default_transaction_read_only"]


def inside(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def spoil_nothing(_: Path) -> None: ...


def a_file_in_its_place(folder: Path) -> None:
    folder.touch()


def a_broken_spool(folder: Path) -> None:
    main_folder(folder).mkdir(parents=True)
    (main_folder(folder) / "spool.sqlite").write_bytes(b"no database" * 100)


def a_spool_that_waits(folder: Path) -> None:
    for at in (main_folder(folder), worker_folder(folder, 2)):
        spool = SpoolFile(at, 1 << 20)
        spool.close()
        with closing(sqlite3.connect(at / "spool.sqlite")) as db, db:
            db.execute("INSERT INTO callback (path, body, received_us, request_id) VALUES ('x', 'y', 1, 'r')")


def a_spool_that_was_killed(folder: Path) -> None:
    SpoolFile(main_folder(folder), 1 << 20).close()
    (main_folder(folder) / "spool.sqlite-wal").write_bytes(b"frames")


def a_spool_set_aside(folder: Path) -> None:
    SpoolFile(main_folder(folder), 1 << 20).close()
    (main_folder(folder) / "spool.sqlite.broken-20261120T000000Z").touch()


FOLDERS: dict[Callable[[Path], None], tuple[str, str, str]] = {
    spoil_nothing: ("data folder", "ok", "is not there yet"),
    a_file_in_its_place: ("data folder", "error", "is no folder → set RECEIVER_DATA_DIR"),
    a_broken_spool: ("spool", "error", "cannot be read (file is not a database)"),
    a_spool_that_waits: ("spool", "warning", "1 callbacks wait in the spool of worker 2"),
    a_spool_that_was_killed: ("spool", "warning", "the spool was not closed"),
    a_spool_set_aside: ("spool", "warning", "was set aside, as it could not be read"),
}


@pytest.mark.parametrize("spoil", FOLDERS, ids=lambda spoil: spoil.__name__)
async def test_a_data_folder(check, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    subject, level, told = FOLDERS[spoil]
    assert told in (await check())(subject, level)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


URL = f"postgresql://sms:{SECRET}@"
SETTINGS: dict[str, tuple[dict[str, object], str, str, str]] = {
    "a port that is none": ({"port": 99_999}, "settings", "error", "RECEIVER_PORT: "),
    "what rests on it": ({"port": 99_999}, "settings", "warning", "not looked at, for a wrong setting: ports"),
    "ports that are one": ({"port": 81, "ops_port": 81}, "settings", "error", "must differ: both are 81"),
    "a misspelt one": ({"data_dri": "/x"}, "settings", "warning", "is no setting → did you mean RECEIVER_DATA_DIR?"),
    "half of pulling": ({"tencent_pull_secret_id": "x"}, "settings", "error", "RECEIVER_TENCENT_PULL_"),
    "no protection": ({}, "protection", "warning", "anybody can send reports in the name of huawei"),
    "an open ops listener": ({"ops_host": "0.0.0.0"}, "protection", "warning", "set RECEIVER_OPS_TOKEN"),
    "a token without TLS": ({"callback_tokens": f"{SECRET}-3"}, "protection", "warning", "tokens go over plain HTTP"),
    "an address of others": ({"host": "203.0.113.7", "port": 8080}, "ports", "error", "has no such address"),
    "a spool beyond the disk": ({"spool_max_bytes": "900TiB"}, "data folder", "warning", "RECEIVER_SPOOL_MAX_BYTES"),
    "too many connections": ({"max_connections": 2_000_000_000}, "connections", "warning", "raise the limit"),
    "no such host": ({"database_url": f"{URL}nowhere.invalid/sms"}, "database", "error", "no address is known"),
    "a wrong mode of TLS": ({"database_url": f"{URL}db/sms?sslmode=maybe"}, "database", "error", "sslmode"),
    "a replica that is away": ({"read_database_url": f"{URL}127.0.0.1:1/b"}, "read database", "error", "READ_DATABASE"),
}


@pytest.mark.parametrize("fault", SETTINGS)
async def test_a_setting(check, fault: str) -> None:
    changes, subject, level, told = SETTINGS[fault]
    assert told in (await check(**changes))(subject, level)


def test_a_file_of_settings_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"RECEIVER_PORT=\xff")
    monkeypatch.chdir(tmp_path)
    known = given()
    assert known.settings is None
    assert [one.what for one in known.findings] == [
        "the file .env cannot be read: it is not UTF-8",
        "nothing else was looked at",
    ]


async def test_a_port_that_something_else_has(check) -> None:
    with listening() as port:
        found = await check(host="127.0.0.1", port=port)
    assert f"RECEIVER_PORT={port}: cannot listen there (address already in use)" in found("ports", "error")


async def test_beside_a_running_receiver_its_ports_and_its_spool_are_its_own(check, make_settings, tmp_path) -> None:
    ports = {"port": free_port(), "ops_port": free_port(), "host": "127.0.0.1"}
    async with services.running(make_settings(**ports)) as service:
        found = await check(**ports)
        assert found("ports", "error") == found("spool", "warning") == ""
        assert found("ports", "ok").count("a receiver runs on this data folder") == 2
        assert "it says: ready" in found("running receiver", "ok")
        (status, _) = await service.post("/callback/huawei/report", "smsMsgId=try-it&status=DELIVRD")
        assert status == 200, "and it goes on"
        elsewhere = await check(**ports, data_dir=tmp_path / "other")
        assert elsewhere("ports", "error").count("something listens there already") == 2


async def test_the_embedded_postgresql_is_not_started(check, tmp_path: Path) -> None:
    found = await check(database_url="", data_dir=(folder := tmp_path / "data"))
    told = [one["what"] for one in found.all if one["subject"] == "embedded PostgreSQL"]
    assert len(told) == 1
    assert not folder.exists()
    assert not [one for one in found.all if one["subject"] in ("database", "schema")]


async def test_all_faults_at_once_are_told_at_once(check, commands: Commands, tmp_path: Path) -> None:
    a_broken_spool(tmp_path / "data")
    with listening() as port:
        changes = {
            "database_url": f"postgresql://sms:{SECRET}@127.0.0.1:{free_port()}/sms",
            "read_database_url": f"postgresql://sms:{SECRET}@/sms?host=/nowhere",
            "host": "127.0.0.1",
            "port": port,
            "ops_host": "0.0.0.0",
            "queue_max_reports": 0,
            "log_level": "LOUD",
            "prot": 1,
            "tls_certificate": tmp_path / "none.crt",
            "tls_key": tmp_path / "none.key",
        }
        found = await check(**changes)
        ended = await commands.run("check", "--quiet", data_dir=tmp_path / "data", **changes)
    for told in ("RECEIVER_QUEUE_MAX_REPORTS", "RECEIVER_LOG_LEVEL"):
        assert told in found("settings", "error")
    for subject in ("database", "read database", "spool", "certificates", "ports"):
        assert found(subject, "error"), subject
    for subject in ("settings", "protection"):
        assert found(subject, "warning"), subject
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines()[-1] == f"{found.errors} errors, {len(ended.out.splitlines()) and 2} warnings."
    assert " ok " not in ended.out


async def test_what_hangs_is_told_of_and_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: Settings) -> list[Any]:
        await asyncio.Event().wait()
        return []

    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def blocks(_: Settings) -> list[Any]:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result()
        return []

    for look in (hangs, blocking(blocks)):
        (found,) = await findings_of(Check("disk", look), Settings(_env_file=None), deadline_s=0.05)
        assert (found.level, found.what) == ("error", "no answer within 0.05 s")
    released.set()
    monkeypatch.setattr(database_checks, "_TIMEOUT_S", 0.2)
    with listening() as port:
        silent = Settings(_env_file=None, database_url=f"postgresql://sms:{SECRET}@127.0.0.1:{port}/sms")
        (found,) = await findings_of(Check("database", database_checks.database), silent)
    assert "does not answer in time" in found.what
