"""Each query of the pages finds what it asks for by an index, in the days that it names. Plans, not times."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from bench import reads
from support.databases import connected, migrated_copy

ROWS = 3_000
BOUND = re.compile(r"received_at > now\(\) - interval '(\d+) (hour|day)s?'")
PARTITION = re.compile(r"(report|submission|reply)_\d{8}")


@pytest.fixture(scope="module")
async def reader(cluster: str, template: str) -> AsyncIterator[asyncpg.Connection]:
    """A dashboard's login on a month of messages. Where an index will do, no table is read from end to end."""
    async with migrated_copy(cluster, template) as url:
        await reads.fill(url, ROWS)
        async with connected(url) as connection:
            yield connection


def nodes(plan: dict[str, Any], limited: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:  # noqa: FBT001, FBT002
    """Each node, and whether one above it takes a few rows."""
    limited = limited or plan["Node Type"] == "Limit"
    yield plan, limited
    for below in plan.get("Plans", ()):
        yield from nodes(below, limited)


def misses(plan: dict[str, Any], query: str) -> list[str]:
    """What is wrong with a plan."""
    found = []
    scanned: dict[str, set[str]] = {}
    for node, limited in nodes(plan):
        table, kind = node.get("Relation Name", ""), node["Node Type"]
        if partition := PARTITION.fullmatch(table):
            scanned.setdefault(partition[1], set()).add(table)
        bounded = "Index Cond" in node or "Recheck Cond" in node or node.get("Index Name") == "message_awaited_since"
        if (table in ("message", "message_count") or partition) and not (bounded or (limited and "Index" in kind)):
            found.append(f"{kind} of {table}")
    if bound := BOUND.search(query):
        most = (int(bound[1]) if bound[2] == "day" else 0) + 2
        found += [f"{len(names)} days of {parent}" for parent, names in scanned.items() if len(names) > most]
    return found


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
            if faults := misses(plan["Plan"], query):
                wrong[name] = faults
    assert wrong == {}


async def test_a_recount_of_what_the_generator_made_finds_no_difference(reader: asyncpg.Connection) -> None:
    """Else the figures of `make bench` are about something else than the service's tables."""
    assert await reader.fetchval("SELECT sms_data.recount()") == 0
