"""What long commands tell of themselves: the parts of the work, PostgreSQL's own progress, locks that it waits for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.databases import connected
from support.service import Service
from support.terminal import InTerminal
from support.waiting import eventually

from receiver.ingest import replay as replaying
from receiver.store import rejected, schema
from receiver.store.maintenance import partitions
from receiver.store.watching import Backend, watched

LONG_AGO = "2020-01-01"


class Heard:
    """Everything that was told: stages with their totals, steps, notes."""

    shown = True

    def __init__(self) -> None:
        self.stages: dict[str, int | None] = {}
        self.steps: dict[str, int] = {}
        self.notes: list[str] = []

    def stage(self, label: str, total: int | None = None) -> None:
        self.stages[label] = total
        self.steps.setdefault(label, 0)

    def advance(self, steps: int = 1) -> None:
        self.steps[list(self.stages)[-1]] += steps

    def reach(self, done: int, total: int | None = None) -> None:
        self.steps[list(self.stages)[-1]] = done
        self.stages[list(self.stages)[-1]] = total

    def note(self, text: str) -> None:
        self.notes.append(text)


@asynccontextmanager
async def terminal(folder: Path, *arguments: str, **settings: object) -> AsyncIterator[InTerminal]:
    one = InTerminal(folder, *arguments, **settings)
    one.start()
    try:
        yield one
    finally:
        await one.gone()


async def test_migrate_in_a_terminal_says_which_migration_waits_for_what(empty_database: str, tmp_path: Path) -> None:
    async with connected(empty_database) as other:
        await other.execute("BEGIN; CREATE SCHEMA sms")
        async with terminal(tmp_path, "migrate", database_url=empty_database) as migrate:
            await migrate.told("migration 0001", f"process {other.get_server_pid()} (", "has had a transaction open")
            await other.execute("ROLLBACK")
            assert await migrate.ended() == 0
            assert "\x1b[KThe schema is at " in migrate.output, "the progress is gone"


async def test_migrate_names_the_other_migration_that_it_waits_for_and_then_gives_up(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended with `TimeoutError: ` and nothing more."""
    async with connected(empty_database) as other:
        await other.execute(f"SELECT pg_advisory_lock({schema._LOCK})")
        async with terminal(tmp_path, "migrate", database_url=empty_database) as migrate:
            await migrate.told("waiting for another migration of this database", f"process {other.get_server_pid()}")
        monkeypatch.setattr(schema, "_LOCK_TIMEOUT_S", 0)
        with pytest.raises(schema.MigrationError, match=f"what process {other.get_server_pid()} does"):
            await schema.upgrade(empty_database)


async def test_simulate_in_a_terminal_shows_how_far_it_is(service: Service, tmp_path: Path) -> None:
    options = ("--url", service.url, "--count=40", "--rate=20", "--batches=0")
    async with terminal(tmp_path, "simulate", "huawei", *options) as simulate:
        await simulate.told("reports  [", "/40", "/s", " left")
        assert await simulate.ended() == 0
        assert "acknowledged reports  40" in simulate.output


async def test_postgresqls_own_progress_is_told_while_an_index_is_made(database: str) -> None:
    heard = Heard()
    async with connected(database) as writer, connected(database) as owner:
        await owner.execute("CREATE TABLE long_work (n integer)")
        await writer.execute("BEGIN; INSERT INTO long_work VALUES (1)")
        backend = Backend("migration 0002", owner.get_server_pid())
        async with watched(lambda: asyncpg.connect(database), backend, heard):
            index = asyncio.create_task(owner.execute("CREATE INDEX CONCURRENTLY ON long_work (n)"))
            await eventually(lambda: "migration 0002: waiting for writers before build long_work" in heard.stages)
            await eventually(lambda: any(f"process {writer.get_server_pid()} (" in note for note in heard.notes))
            await writer.execute("COMMIT")
            await index
            await eventually(lambda: "migration 0002" in heard.stages)


async def test_a_look_that_fails_does_not_disturb_the_work() -> None:
    async def refused() -> asyncpg.Connection:
        raise ConnectionRefusedError

    async with watched(refused, Backend("work", 1), Heard()):
        await asyncio.sleep(0)


async def test_maintenance_tells_of_each_partition_and_of_deleted_rows(database: str) -> None:
    heard = Heard()
    async with connected(database) as sql:
        await sql.execute(f"SELECT sms_data.create_partitions('{LONG_AGO}')")
        await sql.execute(
            "INSERT INTO sms_data.reply_key SELECT gen_random_uuid(), '2020-01-01' FROM generate_series(1, 1500)"
        )
        done = await partitions.maintain(database, days_ahead=2, retention_days=30, told=heard)
    assert heard.stages["days with partitions"] == heard.steps["days with partitions"] == 3
    assert heard.stages["dropping partitions"] == heard.steps["dropping partitions"] == len(done.dropped) > 0
    assert heard.notes == done.dropped
    assert heard.steps["deleting old messages"] == done.deleted_messages == 1500


@pytest.mark.parametrize("dry_run", [True, False])
async def test_replay_and_purge_tell_of_each_payload(service: Service, dry_run: Any) -> None:
    for _ in range(3):
        await service.post("/callback/huawei/report", b"\xff<html>")
    wanted = rejected.Filter()
    heard = Heard()
    found = await rejected.find(service.sql, wanted, 10)
    await replaying.replay(service.sql, found, dry_run=dry_run, told=heard)
    assert (heard.stages, heard.steps) == ({"payloads": 3}, {"payloads": 3})
    heard.stage("purge")
    assert await rejected.purge(service.sql, wanted, heard) == heard.steps["purge"] == 3
