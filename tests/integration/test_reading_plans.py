"""Every question of the pages and commands is answered from an index, whatever it asks for. Plans, not times."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
from bench import reads
from support.databases import administrate, connected, migrated_copy
from support.plans import misses, nodes

from receiver.reading import lateness, lists, messages, overview, search, times
from receiver.reading.filters import Filters
from receiver.reading.history import history
from receiver.reading.paging import Cursor
from receiver.reading.reader import Limits, Reader

ROWS = 3_000
NUMBER = "+8615512345678"


class Explaining(Reader):
    """Keeps the plan of each question, beside its answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "RECEIVER_DATABASE_URL", Limits(statement_s=60.0))
        self.plans: list[tuple[str, dict]] = []
        self.how = "ANALYZE false"

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        (row,) = await super().fetch(f"EXPLAIN ({self.how}, FORMAT JSON) {query}", *args)
        (plan,) = json.loads(row[0])
        self.plans.append((query, plan["Plan"]))
        return await super().fetch(query, *args, timeout_s=timeout_s)


@pytest.fixture(scope="module")
async def filled(cluster: str, template: str) -> AsyncIterator[str]:
    """A month of messages. Where an index will do, no table is read from end to end."""
    async with migrated_copy(cluster, template) as url:
        await reads.fill(url, ROWS)
        name = urlsplit(url).path[1:]
        await administrate(url, f"ALTER DATABASE {name} SET enable_seqscan = off")
        yield url


@pytest.fixture
async def reader(filled: str) -> AsyncIterator[Explaining]:
    reader = Explaining(filled)
    yield reader
    await reader.close()


def faults(reader: Explaining, most_days: int | None = None) -> list[str]:
    assert reader.plans
    return [f"{fault}: {query}" for query, plan in reader.plans for fault in misses(plan, most_days)]


@pytest.mark.parametrize("since", ["1h", "24h", "365d"])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"status": "failed"},
        {"status": "failed", "sender": "nobody"},
        {"code": "never seen"},
        {"country": "-"},
        {"provider": "tencent", "reason": "unreachable"},
        {"sender": "ACME"},
        {"number": NUMBER},
        {"number": "155 1234 5678", "status": "failed"},
        {"correlation": "order-4711"},
        {"message_id": "b9d9b4fe"},
    ],
)
async def test_messages_are_found_by_an_index(reader: Explaining, since: str, wanted: dict[str, str]) -> None:
    now = datetime.now(UTC)
    filters = Filters.parse({"since": since} | wanted)
    await messages.listed(reader, filters, now=now)
    await messages.listed(reader, filters, now=now, older=Cursor(filters.period(now).since, 3))
    assert faults(reader) == []
    if since == "24h":
        assert faults(reader, 2) == [], "the days before are left out"


@pytest.mark.parametrize(
    "wanted", [{}, {"number": NUMBER, "since": "24h"}, {"message_id": "b9d9b4fe", "since": "24h"}, {"status": "failed"}]
)
async def test_reports_and_replies_are_found_by_an_index(reader: Explaining, wanted: dict[str, str]) -> None:
    now, filters = datetime.now(UTC), Filters.parse(wanted)
    await lists.reports(reader, filters, now=now, older=Cursor(now, 3))
    await lists.replies(reader, filters, now=now, older=Cursor(now, 3))
    assert faults(reader, 2) == []


async def test_everything_else_is_found_by_an_index(reader: Explaining, filled: str) -> None:
    now, filters = datetime.now(UTC), Filters.parse({})
    await lists.rejected(reader, filters, now=now)
    await lists.overdue(reader, filters, now=now)
    await lists.overdue_counts(reader)
    counts = await overview.counts(reader, filters, now=now)
    assert counts.totals.messages > 0
    await overview.compared(reader, filters, now=now)
    await overview.failed_codes(reader, filters, now=now)
    assert (await times.delivery_times(reader, filters, now=now)).whole is not None
    assert (await times.recent(reader, now=now)).last
    async with connected(filled) as sql:
        one = await sql.fetchval("SELECT message_id FROM sms.submission LIMIT 1")
    assert await history(reader, one)
    (message,) = (await messages.listed(reader, Filters.parse({"message_id": one}), now=now)).rows
    await lateness.of_message(reader, message)
    await lateness.by_age(reader)
    assert await search.meaning(reader, one, filters, now)
    assert await search.meaning(reader, "15500000000", filters, now) is None
    assert faults(reader) == []


async def test_where_a_filter_has_no_hit_the_days_know_it(reader: Explaining) -> None:
    """A year of hours was read for a list without a row."""
    reader.how = "ANALYZE"
    found = await messages.listed(reader, Filters.parse({"since": "365d", "code": "never seen"}), now=datetime.now(UTC))
    assert found.rows == []
    scanned = [node for _, plan in reader.plans for node, _ in nodes(plan)]
    of = {
        table: [one for one in scanned if one.get("Relation Name") == table]
        for table in ("message_count", "code_day_count")
    }
    assert of["code_day_count"]
    assert sum(one["Actual Loops"] for one in of["message_count"]) == 0
