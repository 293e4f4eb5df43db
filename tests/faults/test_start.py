"""The service starts although its PostgreSQL is away, read-only or not yet migrated, and catches up later."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support import ledger as ledgers
from support import process
from support import proxy as proxies
from support.cluster import APPLICATION, Cluster
from support.faults import READ_ONLY, READ_WRITE
from support.process import ServiceProcess
from support.rig import Load

from receiver.store import readiness as preparation
from receiver.store import schema as migrate
from receiver.telemetry import logs

Say = Callable[[str], None]
Heal = Callable[[ServiceProcess], Awaitable[None]]


async def _catches_up(
    title: str, fragile: Cluster, folder: Path, say: Say, heal: Heal, *, database: str, port: int | None = None
) -> None:
    """Start it, let it take reports into the spool, heal what is broken: all is stored, and nobody was sent away."""
    url = fragile.url(database, user=APPLICATION, port=port)
    async with process.running(folder / database, database_url=url) as service:
        with Load(service.url, folder / f"{database}.ledger", rate=150, connections=16) as load:
            await load.answered(50)
            await service.spooling(10)
            await heal(service)
            await service.until(lambda answer: answer["database"])
            await load.answered(20)
            ledger = await load.stop()
        await service.drained()
        assert await service.terminate() == 0
    verdict = ledgers.judge(ledger, await ledgers.stored(fragile.socket_url(database)))
    say(ledgers.show(title, ledger, verdict))
    assert verdict.good, verdict
    assert set(ledger.outcomes()) == {"ok"}
    assert not service.noise(), service.noise()


async def test_started_while_postgresql_does_not_answer(fragile: Cluster, open_folder: Path, say: Say) -> None:
    async with proxies.running(fragile.port) as proxy:
        await proxy.set("blackhole")

        async def heal(_: ServiceProcess) -> None:
            await proxy.set("pass")

        database = await fragile.new_database()
        await _catches_up("against silence", fragile, open_folder, say, heal, database=database, port=proxy.port)


async def test_started_before_the_schema_is_there(fragile: Cluster, open_folder: Path, say: Say) -> None:
    """PostgreSQL is away at the start, and when it comes it is empty: reports wait until `receiver migrate` was run."""
    await fragile.administrate("CREATE DATABASE unmigrated")
    async with proxies.running(fragile.port) as proxy:
        await proxy.set("cut")

        async def heal(service: ServiceProcess) -> None:
            await proxy.set("pass")
            await service.told("InvalidSchemaNameError")
            await migrate.upgrade(fragile.socket_url("unmigrated"))

        await _catches_up("before the schema", fragile, open_folder, say, heal, database="unmigrated", port=proxy.port)


async def test_started_while_the_database_is_read_only(fragile: Cluster, open_folder: Path, say: Say) -> None:
    async def heal(_: ServiceProcess) -> None:
        await fragile.administrate(*READ_WRITE)

    database = await fragile.new_database()
    await fragile.administrate("UPDATE sms_data.catalogue SET fingerprint = 'an older version'", database=database)
    await fragile.administrate(*READ_ONLY)
    try:
        await _catches_up("read-only", fragile, open_folder, say, heal, database=database)
    finally:
        await fragile.administrate(*READ_WRITE)


async def test_a_schema_that_is_behind_is_told_until_it_is_there(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preparation, "_RETRY_S", 0.01)
    logs.configure("json", "INFO")
    waiting = asyncio.create_task(preparation.until_ready(empty_database, "RECEIVER_DATABASE_URL"))
    said = ""
    async with asyncio.timeout(30):
        while "database.schema_behind" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    assert "receiver migrate" in said
    await migrate.upgrade(empty_database)
    async with asyncio.timeout(30):
        await waiting
