"""What lies on the disk between two versions: the spool's file and the pull's journal, written and read."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support import service as services
from support import tencent_api
from support.golden import BODIES, FOLDER, SUBMITTED, check, masked, pretty
from support.preloaded import Commands
from support.pulling import opened, pulling
from support.tencent_api import REPLIES, REPORTS
from support.waiting import eventually

SPOOL = FOLDER / "spool-0.1.0.sqlite"
"""Written by the first version with the callbacks of `spooled`, and never written again."""

PRAGMAS = ("journal_mode", "page_size", "encoding", "auto_vacuum", "user_version")
VIEWS = ("delivery_report", "message", "reply", "submission", "rejected_payload")
GZIP = {"Content-Encoding": "gzip"}
ZIPPED = bytes.fromhex("1f8b0800000000000203abae050043bfa6a302000000")
"""`{}`, as literal bytes: Python 3.13 writes another operating system into the head."""
OWN = re.compile(r"\b[0-9a-f]{16}\b|\b\d{8}-req\b")
"""Ids of requests, and microseconds since 1970."""


async def spooled(settings: Any, sql_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let everything that there is come in while PostgreSQL does not answer; what stood in the pull's journal."""
    async with services.running(settings, sql_url=sql_url) as service:
        for path, (content_type, body) in BODIES.items():
            await service.post(path, body, **{"Content-Type": content_type})
        await service.post("/callback/huawei/report", b"\xff<html>")
        await service.post("/callback/tencent/reply", ZIPPED, **GZIP)
        url = f"{service.ops_url}/submissions/huawei?correlation=order-7"
        async with service.client.post(url, data=SUBMITTED) as response:
            assert (await response.json())["kept_in"] == "spool"
    journal = settings.data_dir / "pull"
    seen: dict[str, str] = {}

    def stands(pattern: str) -> bool:
        found = {file.name: file.read_text(encoding="utf-8") for file in journal.glob(pattern)}
        seen.update(found)
        return len(found) == 2 and all(found.values())

    async with tencent_api.running() as api:
        api.give([tencent_api.report(2)], REPORTS)
        api.give([tencent_api.reply(3)], REPLIES)
        api.gate.clear()
        with closing(sqlite3.connect(settings.data_dir / "spool" / "spool.sqlite", isolation_level=None)) as blocker:
            async with pulling(settings, opened(monkeypatch, api)):
                await eventually(lambda: stands("*.call"))
                blocker.execute("BEGIN IMMEDIATE")
                api.gate.set()
                await eventually(lambda: stands("*.answer"))
                blocker.execute("ROLLBACK")
                await eventually(lambda: len(api.calls_of(REPORTS)) > 1 and len(api.calls_of(REPLIES)) > 1)
    return seen


def described(file: Path) -> str:
    """Schema and rows; times, and what is drawn at random, are masked."""
    with closing(sqlite3.connect(file)) as db:
        told = [f"{name} = {db.execute(f'PRAGMA {name}').fetchone()[0]}" for name in PRAGMAS]
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").fetchall()
        for (table,) in tables:
            columns = db.execute(f"PRAGMA table_info({table})").fetchall()
            told += ["", f"table {table}", *(f"    {name} {kind} {rest}" for _, name, kind, *rest in columns)]
        # Two queues are pulled at once, so the order of theirs is none.
        rows = db.execute("SELECT * FROM callback ORDER BY remote_addr IS NULL, iif(remote_addr IS NULL, path, id)")
        names = [column[0] for column in rows.description]
        for row in rows:
            told += ["", *(f"{name}: {value!r}" for name, value in zip(names[1:], row[1:], strict=True))]
    return OWN.sub("ID", "\n".join(told))


async def test_the_spool_and_the_journal_are_written(
    make_settings: Callable[..., Any], database: str, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(database_url=nowhere)
    journal = await spooled(settings, database, monkeypatch)
    file = settings.data_dir / "spool" / "spool.sqlite"
    check("spool-format.txt", described(file))
    check("pull-journal.txt", "\n".join(f"{name}:\n{OWN.sub('ID', masked(journal[name]))}" for name in sorted(journal)))
    if not SPOOL.exists():
        shutil.copyfile(file, SPOOL)


async def test_a_spool_of_the_first_version_is_shown(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    shutil.copyfile(SPOOL, tmp_path / "spool" / "spool.sqlite")
    ended = await commands.run("spool", "export", data_dir=tmp_path)
    check("spool-export.ndjson", ended.out + ended.err)


async def test_a_spool_of_the_first_version_is_drained(
    make_settings: Callable[..., Any], sql: asyncpg.Connection
) -> None:
    settings = make_settings(rejected_days=36_500, database_timeout_s=20.0)  # the file grows older, its rows stay
    (settings.data_dir / "spool").mkdir(parents=True)
    shutil.copyfile(SPOOL, settings.data_dir / "spool" / "spool.sqlite")
    async with services.running(settings) as service:

        async def is_empty() -> bool:
            async with service.client.get(f"{service.ops_url}/spool") as response:
                return (await response.json())["callbacks"] == 0

        await eventually(is_empty)
    found = {view: await sql.fetch(f"SELECT * FROM sms.{view} ORDER BY 1, 2") for view in VIEWS}
    check("spool-drained.json", pretty({view: [dict(row) for row in rows] for view, rows in found.items()}))
