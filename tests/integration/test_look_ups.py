"""What the functions of the SQL contract find."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import product

import asyncpg
import pytest
from support.databases import emptied
from support.reports import NOON, job, report, store, submission

from receiver.store.maintenance import counts

NUMBER = "+8615512345678"


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


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


def step_of(moment: datetime, by: timedelta) -> datetime:
    """The beginning of the step, counted from the Monday with which the century began."""
    monday = datetime(2001, 1, 1, tzinfo=UTC)
    return monday + (moment - monday) // by * by


STEPS = [timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7)]
SPANS = [(5, 8), (12, 60), (13, 83), (36, 84), (0, 96), (47, 49), (90, None)]
"""Hours after midnight: within a day, over one midnight or several, on them, and without an end."""
SUMMED = {
    "message_counts": "step, country, status, sum(messages)",
    "code_counts": "step, country, status, sum(messages)",
    "delivery_time_counts": "step, country, 'delivered', sum(messages)",
}


@pytest.mark.parametrize("folded", [True, False])
async def test_counts_of_any_time_and_step_are_those_of_its_hours(sql: asyncpg.Connection, folded: bool) -> None:
    """From the counts by the day and by the hour, each hour once: also before midnight, and in a session elsewhere."""
    midnight = NOON.replace(hour=0)
    sent = [
        (midnight + timedelta(hours=hours), country, status)
        for hours in range(100)
        for country, status in (("CN", "delivered"), (None, "delivered"), ("HK", "undeliverable"))
    ]
    for number, (at, country, status) in enumerate(sent):
        named = {"message_id": f"m-{number}", "country": country}
        code = "DELIVRD" if status == "delivered" else "UNDELIV"
        rows = submission(submitted_at=at, **named), report(code, happened_at=at + timedelta(minutes=1), **named)
        await store(sql, job(*rows, received_at=at + timedelta(minutes=1)))
    if folded:
        await counts.fold(sql)
    await sql.execute("SET ROLE sms_reader; SET TIME ZONE 'Asia/Kathmandu'")
    for (first, last), by, (function, columns) in product(SPANS, STEPS, SUMMED.items()):
        since, until = midnight + timedelta(hours=first), last and midnight + timedelta(hours=last)
        rows = await sql.fetch(
            f"SELECT {columns} FROM sms.{function}($1, $2, $3) GROUP BY 1, 2, 3 HAVING sum(messages) > 0",
            *(since, until or datetime.max.replace(tzinfo=UTC), by),
        )
        wanted = Counter(
            (step_of(at, by), country, status)
            for at, country, status in sent
            if since <= at and (until is None or at < until) and (status == "delivered" or "time" not in function)
        )
        assert {tuple(row)[:3]: row[3] for row in rows} == wanted, (function, since, until, by)
