"""Page after page, whatever came at one moment: each row once, the latest first."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import citus
from support.databases import emptied

from receiver.reading import lists, messages
from receiver.reading.filters import Filters
from receiver.reading.paging import Page
from receiver.reading.reader import Reader

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTS: dict[str, tuple[str, Callable[..., Awaitable[Page[Any]]]]] = {
    "messages": (
        """INSERT INTO sms_data.message (first_received_at, report_id, segments, segments_reported, part, seen_before,
                                         message_id, provider, recipient_key, status, code)
           SELECT at, $2, 1, 1, 0, NULL, $2::uuid || '-' || number, 'tencent', '', 'delivered', 'DELIVRD'
           FROM unnest($1::timestamptz[]) WITH ORDINALITY AS row (at, number)""",
        messages.listed,
    ),
    "rejected": (
        """INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, body)
           SELECT gen_random_uuid(), 'tencent', '/', at, $2::uuid || '-' || number, ''
           FROM unnest($1::timestamptz[]) WITH ORDINALITY AS row (at, number)""",
        lists.rejected,
    ),
}


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("wanted", [{}, {"provider": "tencent"}], ids=["all", "filtered"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.integers(1, 4), max_size=14), limit=st.integers(1, 5), hours=st.booleans())
async def test_every_row_is_shown_once_in_order(
    sql: asyncpg.Connection,
    reader: Reader,
    name: str,
    wanted: dict[str, str],
    ages: list[int],
    limit: int,
    hours: bool,
) -> None:
    insert, listed = LISTS[name]
    await sql.execute("TRUNCATE sms_data.message, sms_data.message_delta, sms_data.rejected_payload")
    unit = timedelta(hours=1) if hours else timedelta(milliseconds=1)
    await sql.execute(insert, [NOW - age * unit for age in ages], uuid4())
    await citus.count_by_hand(sql)
    times, keys, older, pages = [], [], None, 0
    while pages == 0 or older is not None:
        page = await listed(reader, Filters.parse({"since": "24h"} | wanted), now=NOW, older=older, limit=limit)
        assert len(page.rows) <= limit
        times += [row.first_received_at if name == "messages" else row.received_at for row in page.rows]
        keys += [row.message_id if name == "messages" else row.rejected_id for row in page.rows]
        older, pages = page.older, pages + 1
        assert pages <= len(ages) + 1, "it goes in circles"
    assert times == sorted(times, reverse=True)
    assert (len(keys), len(set(keys))) == (len(ages), len(ages))
