"""Reading for people: with a reader's rights and never a writer's, within limits, and a sentence where it cannot be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from support.databases import administrate, connected
from support.waiting import eventually

from receiver.reading.errors import PoolBusy, ReadTooSlow, ReadUnavailable, as_read_error
from receiver.reading.reader import Limits, Reader, opened
from receiver.settings import Settings

SETTING = "RECEIVER_READ_DATABASE_URL"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
ASLEEP = f"SELECT count(*) = $1 {OTHERS} AND state = 'active' AND query LIKE '%pg_sleep%'"
SLOW = "SELECT pg_sleep(30)"


def as_user(url: str, user: str) -> str:
    """The URL for another login; the embedded PostgreSQL trusts its socket."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def reader(shared_database: str) -> AsyncIterator[Reader]:
    async with opened(Settings(_env_file=None), shared_database, Limits(queries=2, acquire_s=0.3)) as reader:
        yield reader


async def take_first(reader: Reader, query: str, then: Callable[[], Awaitable[None]]) -> None:
    """Its first rows, and no more."""
    async with reader.stream(query) as pages:
        async for _ in pages:
            await then()
            break


async def reset() -> None:
    raise ConnectionResetError


async def test_what_is_asked_is_asked_as_a_reader_who_cannot_write(reader: Reader) -> None:
    assert await reader.fetchval("SELECT current_user::text") == "sms_reader"
    for write in ("CREATE TABLE sms.mine ()", "DELETE FROM sms.code"):
        with pytest.raises(ReadUnavailable, match="RECEIVER_DATA_DIR"):
            await reader.fetch(write)
    with pytest.raises(ReadUnavailable, match="permission denied"):
        await reader.fetch("SELECT * FROM sms_data.message")
    assert await reader.fetchval("SELECT count(*) > 1000 FROM sms.code"), "an error spoils nothing"


async def test_a_login_that_may_not_become_a_reader_reads_as_itself(shared_database: str) -> None:
    await administrate(shared_database, "CREATE ROLE reading_writer LOGIN IN ROLE sms_writer")
    settings = Settings(_env_file=None, read_database_url=as_user(shared_database, "reading_writer"))
    try:
        async with opened(settings, "postgresql://elsewhere/sms") as reader:
            assert await reader.fetchval("SELECT current_user::text") == "reading_writer"
            assert await reader.fetch("SELECT * FROM sms.message LIMIT 1") == []
    finally:
        await administrate(shared_database, "DROP ROLE reading_writer")


async def test_a_question_that_takes_too_long_ends_and_says_to_ask_for_less(reader: Reader) -> None:
    with pytest.raises(ReadTooSlow, match="shorter period"):
        await reader.fetch(SLOW, timeout_s=0.1)


async def test_more_questions_than_there_are_places_are_turned_away_and_the_pool_never_grows(
    reader: Reader, shared_database: str
) -> None:
    slow = [asyncio.create_task(reader.fetch(SLOW)) for _ in range(2)]
    async with connected(shared_database) as watching:
        await eventually(lambda: watching.fetchval(ASLEEP, 2))
        with pytest.raises(PoolBusy, match="all 2 connections"):
            await reader.fetch("SELECT 1")
        assert await watching.fetchval(f"SELECT count(*) {OTHERS}") == 2
        for task in slow:  # somebody closes the page
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        await eventually(lambda: watching.fetchval(ASLEEP, 0))
    assert await reader.fetchval("SELECT 1") == 1


async def test_a_stream_is_read_as_far_as_it_is_asked_for(reader: Reader, shared_database: str) -> None:
    async with reader.stream("SELECT n FROM generate_series(1, 2500) AS n") as pages:
        sizes = [(len(rows), rows[-1]["n"]) async for rows in pages]
    assert sizes == [(1000, 1000), (1000, 2000), (500, 2500)]
    await take_first(reader, "SELECT generate_series(1, 1000000000)", lambda: asyncio.sleep(0))
    async with connected(shared_database) as watching:
        await eventually(lambda: watching.fetchval(f"SELECT count(*) = 0 {OTHERS} AND state <> 'idle'"))


async def test_an_error_of_the_one_who_takes_a_stream_stays_its_own(reader: Reader) -> None:
    for _ in range(5):
        with pytest.raises(ConnectionResetError):
            await take_first(reader, "SELECT 1", reset)
    assert await reader.fetchval("SELECT 1") == 1


async def test_a_stream_that_nobody_takes_ends(shared_database: str) -> None:
    reader = Reader(shared_database, SETTING, Limits(stream_s=1.0))
    with pytest.raises(ReadTooSlow, match="was not read within"):
        await take_first(reader, "SELECT generate_series(1, 5000)", lambda: asyncio.sleep(30))
    await reader.close()


async def test_a_database_that_is_away_is_said_without_its_password_and_asked_again_when_it_is_back() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)

    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"postgresql://sms:hunter2-hunter2@127.0.0.1:{port}/sms?sslmode=disable"
    reader = Reader(url, SETTING, Limits(connect_s=0.2, pause_s=2.0))
    for _ in range(3):  # a page has several questions: only the first waits
        with pytest.raises(ReadUnavailable, match="does not answer in time") as error:
            await reader.fetch("SELECT 1")
        assert SETTING in str(error.value)
        assert "hunter2" not in str(error.value)
    assert len(asked) == 1
    await asyncio.sleep(2.1)
    with pytest.raises(ReadUnavailable):
        await reader.fetch("SELECT 1")
    assert len(asked) == 2
    for writer in asked:
        writer.close()
    server.close()
    await reader.close()


@pytest.mark.parametrize(
    "conflict",
    [
        asyncpg.SerializationError("canceling statement due to conflict with recovery"),
        asyncpg.ConnectionDoesNotExistError(
            "connection was closed in the middle of operation: terminating connection due to conflict with recovery"
        ),
    ],
)
def test_a_standby_that_ends_a_query_is_no_fault_of_the_question(conflict: asyncpg.PostgresError) -> None:
    error = as_read_error(conflict, "postgresql://replica/sms", SETTING, 5)
    assert isinstance(error, ReadUnavailable)
    assert "standby" in str(error)


def test_a_connection_that_is_lost_is_no_refusal() -> None:
    lost = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    assert "cannot be reached, or went away" in str(as_read_error(lost, "postgresql://replica/sms", SETTING, 5))
