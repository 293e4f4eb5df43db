"""How far a standby is behind, as the pages and `receiver check` tell those who read from one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import service as services
from support.checking import checking
from support.cluster import Cluster
from support.databases import connected
from support.preloaded import Commands
from support.reports import job, report
from support.visiting import visit
from support.waiting import eventually

from receiver.reading import standby as standbys
from receiver.reading.reader import opened
from receiver.reading.standby import Behind
from receiver.settings import Settings
from receiver.store import postgres

FOLLOWS = Behind(receives=True, seconds=0.0)


@pytest.fixture
async def name(fragile: Cluster, standby: Cluster) -> str:
    """A database on both."""
    name = await fragile.new_database()
    await eventually(lambda: _has(standby, name))
    return name


@pytest.fixture
def database(fragile: Cluster, name: str) -> str:
    """That of `make_settings`."""
    return fragile.url(name)


async def _has(standby: Cluster, name: str) -> bool:
    async with connected(standby.url("postgres")) as sql:
        return bool(await sql.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name))


@pytest.fixture
def settings(standby: Cluster, name: str, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(read_database_url=standby.url(name))


async def found(settings: Settings) -> Behind | None:
    async with opened(settings, "") as reader:
        return await standbys.behind(reader.fetch)


async def store_one(fragile: Cluster, name: str) -> None:
    async with connected(fragile.url(name)) as sql:
        rows = [job(report("DELIVRD", message_id="late"))]
        await postgres.create_partitions(postgres.Session(sql), rows)
        await postgres.write(postgres.Session(sql), rows, 20.0)


@asynccontextmanager
async def replay_paused(standby: Cluster) -> AsyncIterator[None]:
    await standby.administrate("SELECT pg_wal_replay_pause()")
    try:
        yield
    finally:
        await standby.administrate("SELECT pg_wal_replay_resume()")


@asynccontextmanager
async def cut_off(standby: Cluster) -> AsyncIterator[None]:
    """It goes on answering, and its primary knows nothing of it."""
    async with connected(standby.url("postgres")) as sql:
        primary = await sql.fetchval("SELECT quote_literal(current_setting('primary_conninfo'))")
    await standby.administrate("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await standby.administrate(f"ALTER SYSTEM SET primary_conninfo = {primary}", "SELECT pg_reload_conf()")


async def test_a_standby_is_behind_while_it_does_not_replay(
    fragile: Cluster, standby: Cluster, name: str, settings: Settings
) -> None:
    await eventually(lambda: _is(settings, lambda one: one == FOLLOWS))
    async with services.running(settings) as service:
        await eventually(lambda: _says(service, "the pages read a standby that follows"))
        async with replay_paused(standby):
            await store_one(fragile, name)
            await eventually(lambda: _is(settings, lambda one: one.receives and bool(one.seconds)))
            await eventually(lambda: _says(service, "the pages read a standby, "))
        await eventually(lambda: _is(settings, lambda one: one == FOLLOWS))


async def test_a_standby_that_receives_nothing_is_not_taken_for_one_that_follows(
    fragile: Cluster, standby: Cluster, name: str, settings: Settings, commands: Commands, tmp_path: Path
) -> None:
    check = checking(commands, tmp_path / "check", fragile.url(name))
    await eventually(lambda: _is(settings, lambda one: one == FOLLOWS))
    assert "a standby" in (await check(read_database_url=standby.url(name)))("read database", "ok")
    async with services.running(settings) as service, cut_off(standby):
        await eventually(lambda: _is(settings, lambda one: not one.receives))
        await store_one(fragile, name)
        warned = (await check(read_database_url=standby.url(name)))("read database", "warning")
        assert "receives nothing from its primary" in warned
        await eventually(lambda: _says(service, "The pages read a standby that receives nothing from its primary"))
        assert "the pages read a standby that is cut off" in (await visit(service, "/")).text
        assert (await check(read_database_url=fragile.url(name)))("read database", "ok").count("it is no standby")
    await eventually(lambda: _is(settings, lambda one: one == FOLLOWS))


async def test_a_primary_is_behind_nobody(fragile: Cluster, name: str, make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(read_database_url=fragile.url(name))
    assert await found(settings) is None
    async with services.running(settings) as service:
        text = (await visit(service, "/")).text
        assert "the pages read elsewhere" in text
        assert "standby" not in text


async def _is(settings: Settings, wanted: Callable[[Behind], Any]) -> bool:
    one = await found(settings)
    return one is not None and bool(wanted(one))


async def _says(service: services.Service, words: str) -> bool:
    return words in (await visit(service, "/")).text
