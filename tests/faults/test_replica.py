"""People read from a standby: it follows, it may end a query, and it may go away. The service notices none of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from support.cluster import Cluster
from support.databases import connected
from support.reports import job, report
from support.waiting import eventually

from receiver.embedded.layout import SUPERUSER
from receiver.reading.errors import ReadUnavailable
from receiver.reading.reader import Limits, Reader, opened
from receiver.settings import Settings
from receiver.store import postgres, racing

PURGE = "DELETE FROM sms_data.report; VACUUM sms_data.report"


@pytest.fixture
async def database(fragile: Cluster, standby: Cluster) -> str:
    """Some thousand reports on the primary, that the standby has as well, whatever a test has left it like."""
    standby.resume()
    if not standby.alive:
        await standby.start()
    name = await fragile.new_database()
    async with connected(fragile.url(name)) as sql:
        await postgres.create_partitions(postgres.Session(sql), [job()])
        for at in range(0, 5_000, 1_000):
            rows = [report("DELIVRD", message_id=f"{at + n}", detail="x" * 200) for n in range(1_000)]
            await postgres.write(postgres.Session(sql), [job(*rows)], 20.0)
    await eventually(lambda: _follows(standby, name))
    return name


async def _follows(standby: Cluster, name: str) -> bool:
    try:
        async with connected(standby.url(name)) as sql:
            return await sql.fetchval("SELECT count(*) = 5000 FROM sms.delivery_report")
    except (asyncpg.PostgresError, OSError):
        return False


async def purge(fragile: Cluster, name: str) -> None:
    for statement in PURGE.split("; "):
        await fragile.administrate(statement, database=name)


def settings_for(standby: Cluster, name: str) -> Settings:
    return Settings(_env_file=None, read_database_url=standby.url(name))


async def test_a_standby_is_read_as_a_reader(standby: Cluster, database: str) -> None:
    async with opened(settings_for(standby, database), "postgresql://elsewhere/sms") as reader:
        said = await reader.fetchrow(
            "SELECT pg_is_in_recovery(), current_user::text, count(*) FROM sms.delivery_report"
        )
        assert said is not None
        assert tuple(said) == (True, "sms_reader", 5_000)


@pytest.mark.parametrize("way", ["a question", "a stream that waits", "a stream"])
async def test_a_query_that_the_standby_ends_is_explained_and_the_next_one_is_answered(
    fragile: Cluster, standby: Cluster, database: str, way: str
) -> None:
    async with opened(settings_for(standby, database), "", Limits(statement_s=40.0, connect_s=20.0)) as reader:
        with pytest.raises(ReadUnavailable, match=r"standby has ended this query|went away") as ended:
            await asyncio.wait_for(_interrupted(reader, fragile, standby, database, way), 40)
        if way == "a question":
            assert "max_standby_streaming_delay" in str(ended.value)
        await eventually(lambda: _answers(reader))


@pytest.mark.parametrize(
    "setting", ["hot_standby_feedback = on", "max_standby_streaming_delay = '60s'"], ids=["the primary", "the standby"]
)
async def test_a_query_goes_on_where_one_of_the_two_servers_waits_for_it(
    fragile: Cluster, standby: Cluster, database: str, setting: str
) -> None:
    slow = "SELECT count(*) FROM (SELECT *, pg_sleep(0.0005) FROM sms.delivery_report) AS slow"
    async with (
        set_to(standby, "wal_receiver_status_interval = '1s'", setting),
        opened(settings_for(standby, database), "", Limits(statement_s=60.0, connect_s=20.0)) as reader,
    ):
        if "feedback" in setting:
            await eventually(lambda: _is_told_of_queries(fragile))
        asked = asyncio.create_task(reader.fetchval(slow))
        await eventually(lambda: _is_asked(standby, database))
        await purge(fragile, database)
        assert await asyncio.wait_for(asked, 60) == 5_000


@asynccontextmanager
async def set_to(server: Cluster, *settings: str) -> AsyncIterator[None]:
    """What they were before is in postgresql.auto.conf."""
    auto = server.layout.pgdata / "postgresql.auto.conf"
    before = auto.read_text(encoding="utf-8")
    await server.administrate(*(f"ALTER SYSTEM SET {one}" for one in settings), "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        auto.write_text(before, encoding="utf-8")
        await server.administrate("SELECT pg_reload_conf()")


async def _is_told_of_queries(primary: Cluster) -> bool:
    async with connected(primary.url("postgres")) as sql:
        return bool(await sql.fetchval("SELECT count(backend_xmin) FROM pg_stat_replication"))


async def _is_asked(standby: Cluster, name: str) -> bool:
    """Whether a query that sleeps is under way: it sees the rows of the moment in which it began."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'"
    async with connected(standby.url("postgres")) as sql:
        return bool(await sql.fetchval(query, name))


async def _replayed(primary: Cluster, standby: Cluster) -> None:
    """Wait until the standby has done what the primary has."""
    async with connected(primary.url("postgres")) as sql, connected(standby.url("postgres")) as other:
        until = await sql.fetchval("SELECT pg_current_wal_flush_lsn()")
        await eventually(lambda: other.fetchval("SELECT pg_last_wal_replay_lsn() >= $1", until))


async def _interrupted(reader: Reader, fragile: Cluster, standby: Cluster, name: str, way: str) -> None:
    if way == "a question":
        slow = "SELECT count(*) FROM (SELECT *, pg_sleep(0.01) FROM sms.delivery_report) AS slow"
        asked = asyncio.create_task(reader.fetch(slow))
        await eventually(lambda: _is_asked(standby, name))
        await purge(fragile, name)
        await asked
        return
    async with reader.stream("SELECT * FROM sms.delivery_report", page=10) as pages:
        read = 0
        async for rows in pages:
            if not read:
                await purge(fragile, name)
                if way == "a stream that waits":
                    await _replayed(fragile, standby)
            read += len(rows)
            await asyncio.sleep(0.02)


async def _answers(reader: Reader) -> bool:
    try:
        return bool(await reader.fetchval("SELECT true"))
    except ReadUnavailable:
        return False


async def test_a_standby_that_hangs_is_waited_for_no_longer_than_a_question_may_take(
    standby: Cluster, database: str
) -> None:
    patient = Limits(stream_statement_s=2.0, connect_s=20.0, statement_s=20.0, pause_s=0.1)
    async with opened(settings_for(standby, database), "", patient) as reader:
        try:
            async with reader.stream("SELECT * FROM sms.delivery_report", page=10) as pages:
                await anext(pages)
                assert await reader.fetchval("SELECT 1") == 1
                standby.pause()
                reader.limits = replace(patient, statement_s=0.3, connect_s=0.3)
                for ask in (reader.fetchval("SELECT 1"), reader.fetchval("SELECT 1"), anext(pages)):
                    with pytest.raises(ReadUnavailable, match="does not answer in time"):
                        await asyncio.wait_for(ask, 10)
        finally:
            standby.resume()
            reader.limits = patient
        await eventually(lambda: _answers(reader))
        standby.pause()
    standby.resume()  # it was closed all the same


async def test_a_standby_that_is_away_is_said_and_found_again(standby: Cluster, database: str) -> None:
    async with opened(settings_for(standby, database), "", Limits(pause_s=0.1, connect_s=20.0)) as reader:
        assert await reader.fetchval("SELECT 1") == 1
        standby.kill()
        for _ in range(2):
            with pytest.raises(ReadUnavailable, match="RECEIVER_READ_DATABASE_URL"):
                await reader.fetchval("SELECT 1")
        await standby.start()
        await eventually(lambda: _answers(reader))


async def test_where_the_standby_is_away_a_reader_goes_on_with_the_primary(
    fragile: Cluster, standby: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "_GRACE_S", 20.0)  # a standby on a busy machine is still preferred
    limits = Limits(pause_s=0.1, connect_s=20.0)
    hosts = f"127.0.0.1:{standby.port},127.0.0.1:{fragile.port}"
    url = f"postgresql://{SUPERUSER}@{hosts}/{database}?target_session_attrs=prefer-standby"
    settings, is_standby = Settings(_env_file=None, read_database_url=url), "SELECT pg_is_in_recovery()"
    async with opened(settings, "", limits) as reader:
        assert await reader.fetchval(is_standby) is True
        standby.kill()
        await eventually(lambda: _answers(reader))
        assert await reader.fetchval(is_standby) is False
        await standby.start()
    async with opened(settings, "", limits) as reader:
        assert await reader.fetchval(is_standby) is True
