"""Each query of the pages finds what it asks for by an index, in the days that it names. Plans, not times."""

import json
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from bench import reads
from support.databases import connected, migrated_copy
from support.plans import misses, nodes

ROWS = 3_000
BOUND = re.compile(r"received_at > now\(\) - interval '(\d+) (hour|day)s?'")

HOURS = ("message_count", "delivery_time_count")


@pytest.fixture(scope="module")
async def reader(cluster: str, template: str) -> AsyncIterator[asyncpg.Connection]:
    """A dashboard's login on a month of messages. Where an index will do, no table is read from end to end."""
    async with migrated_copy(cluster, template) as url:
        await reads.fill(url, ROWS)
        async with connected(url) as connection:
            yield connection


def most_days(query: str) -> int | None:
    """Of how many days the partitions may be read, where the query says a time."""
    if bound := BOUND.search(query):
        return (int(bound[1]) if bound[2] == "day" else 0) + 2
    return None


async def test_no_query_of_the_pages_reads_a_whole_table_or_days_that_it_leaves_out(reader: asyncpg.Connection) -> None:
    asking = await reads.questions(reader)
    assert len(asking) > 30
    assert await reader.fetchval("SELECT sum(messages) > 0.9 * $1 FROM sms.hourly", ROWS)
    async with reader.transaction():
        await reader.execute("SET LOCAL ROLE sms_reader; SET LOCAL enable_seqscan = off")
        wrong = {}
        for name, query in asking.items():
            (plan,) = json.loads(await reader.fetchval(f"EXPLAIN (FORMAT JSON) {query}"))
            if "messages_to(" in query:
                assert "Function Scan" not in json.dumps(plan), "what it does is seen"
            if faults := misses(plan["Plan"], most_days(query)):
                wrong[name] = faults
    assert wrong == {}


async def test_a_year_is_counted_by_the_day(reader: asyncpg.Connection) -> None:
    """By the hour, nine million rows were read for each question at 20 million messages a month."""
    asking = {name: query for name, query in (await reads.questions(reader)).items() if "a year" in name}
    assert len(asking) > 10
    a_month = await reader.fetchval(
        "SELECT count(*) FROM sms_data.message_count, sms_data.counts_only WHERE hour >= before"
    )
    for name, query in asking.items():
        (plan,) = json.loads(await reader.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
        hours = sum(
            node["Actual Rows"] * node["Actual Loops"]
            for node, _ in nodes(plan["Plan"])
            if node.get("Relation Name", "") in HOURS
        )
        assert hours < a_month / 2, f"{name} reads {hours} hours"


async def test_a_recount_of_what_the_generator_made_finds_no_difference(reader: asyncpg.Connection) -> None:
    """Else the figures of `make bench` are about something else than the service's tables."""
    assert await reader.fetchval("SELECT sms_data.recount()") == 0
