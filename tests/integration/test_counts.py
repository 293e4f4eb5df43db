"""The counts by the hour equal a count over the messages, whatever happens in whichever order."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import is_dataclass, replace
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import citus
from support.databases import connected, emptied
from support.reports import NOON, Row, job, report, some_report, some_submission, submission
from support.waiting import DEADLINE_S, eventually

from receiver.store import postgres
from receiver.store.job import Job
from receiver.store.maintenance import counts, partitions, retention

COUNTED = """
SELECT date_trunc('hour', first_received_at) AS hour,
       date_trunc('hour', coalesce(submitted_at, first_received_at)) AS sent,
       provider, country, status, reason, code, count(*) AS messages, sum(segments) AS segments
FROM sms.message GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
"""
HOURLY = """
SELECT hour, submitted_hour AS sent, provider, country, status, reason, code, sum(messages) AS messages,
       sum(segments) AS segments
FROM sms.hourly GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(messages) <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7
"""
TOTALS = """
SELECT (SELECT coalesce(sum(reports), 0) FROM sms.hourly) = (SELECT count(*) FROM sms.delivery_report)
           + (SELECT count(*) - count(DISTINCT message_id) FROM sms.submission) AS reports,
       (SELECT coalesce(sum(requests), 0) FROM sms.hourly) = (SELECT count(*) FROM sms.submission) AS requests,
       (SELECT coalesce(sum(fees), 0) FROM sms.hourly) = (SELECT coalesce(sum(fee), 0) FROM sms.submission) AS fees,
       (SELECT coalesce(sum(messages), 0) FROM sms.delivery_times)
           = (SELECT count(*) FROM sms.message WHERE delivery_s IS NOT NULL) AS delivery_times
"""

OF_HOURS = """
SELECT date_bin('1 day', hour, '2001-01-01 00:00+00') AS day, provider, country, status, reason, final, code,
       messages, CASE WHEN accepted THEN messages ELSE 0 END AS taken,
       CASE WHEN NOT reported THEN messages ELSE 0 END AS silent,
       reports, segments, fees, requests
FROM sms.hourly
"""
TIMES_OF_HOURS = """
SELECT date_bin('1 day', hour, '2001-01-01 00:00+00') AS day, provider, country, seconds, messages
FROM sms.delivery_times
"""
KEY = "day, provider, country, status, reason, final"
SUMS = "messages, taken, silent, reports, segments, fees, requests"
BY_DAY = (
    ("sms.daily", KEY, SUMS, OF_HOURS),
    ("sms.daily_codes", f"{KEY}, code", "messages, reports", OF_HOURS),
    ("sms.daily_delivery_times", "day, provider, country, seconds", "messages", TIMES_OF_HOURS),
)


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


async def exact(sql: asyncpg.Connection) -> None:
    """The views show what the messages are, and a recount finds nothing."""
    async with sql.transaction(isolation="repeatable_read"):
        assert await sql.fetch(HOURLY) == await sql.fetch(COUNTED)
        assert [name for name, same in (await sql.fetchrow(TOTALS)).items() if not same] == []
        assert await counts.recount(sql) == 0
        await the_same_by_day(sql)


async def the_same_by_day(sql: asyncpg.Connection) -> None:
    """The counts by the day are those of its hours."""
    for view, key, sums, hours in BY_DAY:
        numbers = [f"sum({one})" for one in sums.split(", ")]
        summed = f"SELECT {key}, {', '.join(numbers)} FROM {{}} AS counted GROUP BY {key}"
        summed += f" HAVING ({', '.join(numbers)}, 0) <> ({', '.join('0' * len(numbers))}, 0) ORDER BY {key}"
        assert await sql.fetch(summed.format(view)) == await sql.fetch(summed.format(f"({hours})"))


def renamed(row: Row, name: str) -> Row:
    """The same about another message: one is a named tuple, the other a dataclass."""
    return replace(row, message_id=name) if is_dataclass(row) else row._replace(message_id=name)


some_names = st.sampled_from([f"m-{n}" for n in range(4)])
some_histories = st.lists(
    st.tuples(some_report() | some_submission(), some_names, st.integers(0, 60), st.integers(0, 1)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=25)
@given(history=some_histories, seed=st.integers())
async def test_the_counts_are_those_of_the_messages_after_any_history(
    shared_database: str, history: list, seed: int
) -> None:
    """Two writers with repetitions, in any order, and a third that folds at any moment."""
    turns: list[list[Job]] = [[], []]
    for row, name, hours, writer in history:
        one = job(renamed(row, name), received_at=NOON + timedelta(hours=hours))
        turns[writer].append(one)
        turns[1 - writer].append(one)
    random.Random(seed).shuffle(turns[1])

    async def write(connection: asyncpg.Connection, jobs: list[Job]) -> None:
        for one in jobs:
            await postgres.write(postgres.Session(connection), [one], 20.0)

    async def fold(connection: asyncpg.Connection, sql: asyncpg.Connection) -> None:
        for _ in range(4):
            await counts.fold(connection)
            if not citus.ALL:  # which has no snapshot of all nodes
                await exact(sql)

    async with emptied(shared_database) as sql, connected(shared_database) as one, connected(shared_database) as other:
        await postgres.create_partitions(postgres.Session(sql), [*turns[0], *turns[1]])
        async with connected(shared_database) as folding:
            await asyncio.gather(write(one, turns[0]), write(other, turns[1]), fold(folding, sql))
        await exact(sql)
        await counts.fold(sql)
        await exact(sql)
        assert await sql.fetchval("SELECT count(*) FROM sms_data.message_delta") == 0


async def test_one_instance_folds_at_a_time_and_no_reader_waits_for_it(
    sql: asyncpg.Connection, shared_database: str
) -> None:
    jobs = [job(report(message_id=f"m-{n}")) for n in range(3)]
    await postgres.create_partitions(postgres.Session(sql), jobs)
    await postgres.write(postgres.Session(sql), jobs, 20.0)
    async with connected(shared_database) as other, sql.transaction():
        await counts.fold(sql)
        async with asyncio.timeout(10):
            await counts.fold(other)
            assert await other.fetchval("SELECT sum(messages) FROM sms.hourly") == 3
            await postgres.write(postgres.Session(other), [job(report(message_id="m-3"))], 20.0)
            assert await other.fetchval("SELECT sum(messages) FROM sms.hourly") == 4
    await exact(sql)


async def test_retention_keeps_the_counts_and_a_recount_puts_wrong_ones_right(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "today", lambda: NOON.date() + timedelta(days=40))
    jobs = []
    for days in (0, 20, 39):
        at, name = NOON + timedelta(days=days), f"m-{days}"
        rows = report(message_id=name, happened_at=at), submission(message_id=name, submitted_at=at)
        jobs.append(job(*rows, received_at=at))
    async with connected(database) as sql:
        await postgres.create_partitions(postgres.Session(sql), jobs)
        await postgres.write(postgres.Session(sql), jobs, 20.0)
        await partitions.maintain(database, days_ahead=0, retention_days=30)
        await counts.fold(sql)
        assert await sql.fetchval("SELECT count(*) FROM sms.message") == 2
        assert await sql.fetchrow("SELECT sum(messages), sum(requests) FROM sms.hourly") == (3, 3)
        assert await counts.recount(sql) == 0
        await sql.execute("UPDATE sms_data.message_count SET messages = messages + 1 WHERE messages = 1")
        if citus.ALL:  # where no trigger follows
            await sql.execute("UPDATE sms_data.message_day_count SET messages = 2, taken = 2 WHERE messages = 1")
            await sql.execute("UPDATE sms_data.code_day_count SET messages = 2 WHERE messages = 1")
        assert await counts.recount(sql) == 2, "there is nothing to compare the third with"
        assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == 4
        await the_same_by_day(sql)
        await partitions.maintain(database, days_ahead=0, retention_days=30, counts_days=30)
        await the_same_by_day(sql)
        for table in ("message_day_count", "code_day_count", "delivery_time_day_count"):
            assert await sql.fetchval(f"SELECT min(day) > $1 FROM sms_data.{table}", NOON), table
        assert await sql.fetchrow("SELECT sum(messages), sum(requests) FROM sms.hourly") == (2, 2)
        assert await counts.recount(sql) == 0


async def test_a_recount_beside_retention_takes_no_deleted_message_for_a_wrong_count(database: str) -> None:
    async with connected(database) as sql, connected(database) as other, connected(database) as third:
        jobs = [job(report(message_id=f"m-{n}")) for n in range(3)]
        await postgres.create_partitions(postgres.Session(sql), jobs)
        await postgres.write(postgres.Session(sql), jobs, 20.0)
        await third.execute("BEGIN; LOCK TABLE sms_data.message_delta IN ACCESS EXCLUSIVE MODE")
        recounting = asyncio.create_task(counts.recount(sql))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        if citus.ALL:  # they wait on whichever node
            waiting = f"SELECT sum(result::integer) FROM run_command_on_all_nodes($$ {waiting} $$)"
        await eventually(lambda: third.fetchval(waiting))
        retiring = asyncio.create_task(retention.retire(other, NOON.date() + timedelta(days=1), 0.0))

        async def held_up_or_done() -> bool:
            return retiring.done() or await third.fetchval(waiting) > 1

        await eventually(held_up_or_done)
        await third.execute("COMMIT")
        assert await recounting == 0
        assert (await retiring).deleted == 3
        assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == 3


async def test_a_fold_that_is_never_committed_holds_up_no_retention(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stolen login of the service's could leave it: the counts stay for now, and the messages go."""
    monkeypatch.setattr(partitions, "today", lambda: NOON.date() + timedelta(days=40))
    async with connected(database) as sql, connected(database) as folding:
        jobs = [job(report())]
        await postgres.create_partitions(postgres.Session(sql), jobs)
        await postgres.write(postgres.Session(sql), jobs, 20.0)
        await folding.execute("BEGIN; SELECT sms_data.fold_counts(1)")
        async with asyncio.timeout(DEADLINE_S):
            done = await partitions.maintain(database, days_ahead=0, retention_days=30, counts_days=30)
        assert done.deleted_messages == 1


async def test_invented_codes_do_not_outlive_their_messages_in_the_counts(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger invents a code for each report: the counts are kept, and the codes of the catalogue with them."""
    monkeypatch.setattr(partitions, "today", lambda: NOON.date() + timedelta(days=30))
    monkeypatch.setattr(counts, "_MOST_CODES", 3)
    codes = ["DELIVRD", "UNDELIV", "", "invented-1", "invented-2", "invented-3"]
    crowded = [report(code, message_id=f"m-{code}") for code in codes]
    quiet = [report(code, message_id=f"q-{code}") for code in codes[-3:]]
    async with connected(database) as sql:
        for hours, rows in ((-24, crowded), (-25, quiet), (24, crowded[:2])):
            jobs = [
                job(
                    *(renamed(one, f"{one.message_id}{hours}") for one in rows),
                    received_at=NOON + timedelta(hours=hours),
                )
            ]
            await postgres.create_partitions(postgres.Session(sql), jobs)
            await postgres.write(postgres.Session(sql), jobs, 20.0)
        await counts.fold(sql)
        before = await sql.fetchval("SELECT sum(messages) FROM sms.hourly")
        day = timedelta(days=1)
        for _ in range(2):
            await partitions.maintain(database, days_ahead=0, retention_days=30)
            left = await sql.fetch(
                "SELECT hour, coalesce(code, '') AS code, sum(messages) FROM sms.hourly GROUP BY 1, 2"
            )
            kept = {(hour - NOON, code): n for hour, code, n in left if hour < NOON}
            assert kept == dict.fromkeys([(-day, "DELIVRD"), (-day, "UNDELIV")], 1) | {(-day, ""): 4} | {
                (-day - timedelta(hours=1), code): 1 for code in codes[-3:]
            }
            assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == before
            assert await counts.recount(sql) == 0
            await the_same_by_day(sql)
