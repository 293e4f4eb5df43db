"""What the functions of the SQL contract find."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from support.databases import emptied
from support.reports import NOON, job, report, submission

from receiver.store import postgres
from receiver.store.job import Job

NUMBER = "+8615512345678"


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


async def store(sql: asyncpg.Connection, *jobs: Job) -> None:
    await postgres.create_partitions(postgres.Session(sql), jobs)
    await postgres.write(postgres.Session(sql), jobs, 20.0)


async def test_messages_to_a_number_are_found_by_a_report_or_a_submission_that_names_it(
    sql: asyncpg.Connection,
) -> None:
    two_days = NOON + timedelta(days=2)
    await store(
        sql,
        job(report("ACCEPTD", message_id="old", recipient=NUMBER)),
        job(report("DELIVRD", message_id="reported", recipient=NUMBER), received_at=two_days),
        job(report("ACCEPTD", message_id="reported", recipient=NUMBER), received_at=two_days + timedelta(hours=1)),
        job(submission(message_id="nameless", recipient=NUMBER), received_at=two_days + timedelta(hours=2)),
        job(report("DELIVRD", message_id="nameless"), received_at=two_days + timedelta(hours=3)),
        job(report("DELIVRD", message_id="another", recipient=NUMBER + "9"), received_at=two_days),
    )
    await sql.execute("SET ROLE sms_reader")
    found = await sql.fetch("SELECT message_id, status FROM sms.messages_to($1, $2)", NUMBER, NOON + timedelta(days=1))
    assert [tuple(row) for row in found] == [("nameless", "delivered"), ("reported", "delivered")]
    assert len(await sql.fetch("SELECT FROM sms.messages_to($1, $2)", NUMBER, NOON)) == 3


async def test_percentiles_are_within_five_percent_of_the_messages_own(sql: asyncpg.Connection) -> None:
    times = [n * n / 10 + 2 for n in range(200)]
    for number, seconds in enumerate(times):
        happened = NOON + timedelta(seconds=seconds)
        rows = (
            submission(message_id=f"m-{number}", country="CN"),
            report("DELIVRD", message_id=f"m-{number}", happened_at=happened),
        )
        await store(sql, job(*rows, received_at=happened))
    await sql.execute("SET ROLE sms_reader")
    (row,) = await sql.fetch("SELECT * FROM sms.delivery_percentiles($1)", NOON)
    assert (row["hour"], row["country"], row["messages"]) == (NOON, "CN", len(times))
    for column, share in (("median_s", 0.5), ("p90_s", 0.9), ("p99_s", 0.99)):
        exact = times[int(share * len(times)) - 1]
        assert row[column] == pytest.approx(exact, rel=0.05)
    (day,) = await sql.fetch("SELECT * FROM sms.delivery_percentiles($1, by => '1 day')", NOON)
    assert day["hour"] == NOON.replace(hour=0)
