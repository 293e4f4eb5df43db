"""The service starts although its PostgreSQL is away, read-only or not yet migrated, and catches up later."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support import ledger as ledgers
from support import proxy as proxies
from support.cluster import APPLICATION, Cluster
from support.faults import READ_ONLY, READ_WRITE
from support.process import ServiceProcess
from support.rig import Load

from receiver.store import readiness as preparation
from receiver.store import schema as migrate
from receiver.telemetry import logs


async def _serve_until_healed(
    service: ServiceProcess, ledger_file: Path, heal: Callable[[], Awaitable[None]]
) -> ledgers.Ledger:
    """Start, take reports into the spool, heal, drain: the ledger."""
    await service.start()
    load = Load(service.url, ledger_file, rate=150, connections=16)
    try:
        await load.answered(50)
        await service.spooling(10)
        await heal()
        await service.until(lambda answer: answer["database"])
        await load.answered(20)
        ledger = await load.stop()
    finally:
        load.kill()
    await service.drained()
    return ledger


async def test_started_while_postgresql_does_not_answer(
    fragile: Cluster, open_folder: Path, say: Callable[[str], None]
) -> None:
    database = await fragile.new_database()
    async with proxies.running(fragile.port) as proxy:
        await proxy.set("blackhole")
        url = fragile.url(database, user=APPLICATION, port=proxy.port)
        service = ServiceProcess(open_folder / database, database_url=url)
        try:
            ledger = await _serve_until_healed(service, open_folder / f"{database}.ledger", lambda: proxy.set("pass"))
            assert await service.terminate() == 0
        finally:
            if service.alive:
                await service.kill()
    await _judge("started against silence", ledger, fragile, database, say)
    assert not service.noise(), service.noise()


async def test_started_before_the_schema_is_there(
    fragile: Cluster, open_folder: Path, say: Callable[[str], None]
) -> None:
    """PostgreSQL is away at the start, and when it comes it is empty: reports wait until `receiver migrate` was run."""
    await fragile.administrate("CREATE DATABASE unmigrated")
    async with proxies.running(fragile.port) as proxy:
        await proxy.set("cut")
        url = fragile.url("unmigrated", user=APPLICATION, port=proxy.port)
        service = ServiceProcess(open_folder / "unmigrated", database_url=url)

        async def migrate_at_last() -> None:
            await proxy.set("pass")
            await service.told("InvalidSchemaNameError")
            await migrate.upgrade(fragile.socket_url("unmigrated"))

        try:
            ledger = await _serve_until_healed(service, open_folder / "unmigrated.ledger", migrate_at_last)
        finally:
            if service.alive:
                await service.kill()
    await _judge("started before the schema", ledger, fragile, "unmigrated", say)


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


async def test_started_while_the_database_is_read_only(
    fragile: Cluster, open_folder: Path, say: Callable[[str], None]
) -> None:
    database = await fragile.new_database()
    await fragile.administrate("UPDATE sms_data.catalogue SET fingerprint = 'an older version'", database=database)
    service = ServiceProcess(open_folder / database, database_url=fragile.url(database, user=APPLICATION))
    await fragile.administrate(*READ_ONLY)
    try:
        ledger = await _serve_until_healed(
            service, open_folder / f"{database}.ledger", lambda: fragile.administrate(*READ_WRITE)
        )
    finally:
        await fragile.administrate(*READ_WRITE)
        if service.alive:
            await service.kill()
    await _judge("started read-only", ledger, fragile, database, say)


async def _judge(
    title: str, ledger: ledgers.Ledger, cluster: Cluster, database: str, say: Callable[[str], None]
) -> None:
    verdict = ledgers.judge(ledger, await ledgers.stored(cluster.socket_url(database)))
    say(ledgers.show(title, ledger, verdict))
    assert verdict.good, verdict
    assert set(ledger.outcomes()) == {"ok"}
