"""Every figure of the overview is the number of rows in the list that it leads to, at the edges of periods as well."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from support import citus, week
from support.service import Service
from support.shared import shared_service

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_FIGURE = re.compile(r'<a href="(/messages\?[^"]*)"[^>]*>([\d,]+)</a>')
_INSERT = """
INSERT INTO sms_data.message (first_received_at, report_id, segments, segments_reported, part, seen_before, message_id,
                              provider, recipient_key, status, reason, code, country)
SELECT at, gen_random_uuid(), 1, 1, 0, NULL, 'edge-' || number, 'tencent', '', 'undeliverable',
       (ARRAY['unreachable', 'blocked', NULL])[1 + number % 3], 'ODD', (ARRAY['CN', NULL])[1 + number % 2]
FROM unnest($1::timestamptz[]) WITH ORDINALITY AS row (at, number)
"""


def edges(now: datetime) -> list[datetime]:
    """Around the beginnings of hours, days and weeks of the last ten days."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [hour - number * HOUR for number in (*range(1, 30), *range(160, 180))]
    days = [hour.replace(hour=0) - number * DAY for number in range(10)]
    return [edge + off for edge in (*hours, *days) for off in (-TICK, 0 * TICK, TICK, 29 * 60 * 10**6 * TICK)]


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        # Hours and days are UTC's, whatever the sessions' time zone is.
        (name,) = await service.sql.fetchrow("SELECT current_database()")
        await service.sql.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
        await service.sql.execute("SET timezone = 'Asia/Kathmandu'")
        now = datetime.now(UTC)
        await week.fill(service.sql, now.replace(microsecond=0), an_hour=6)
        await service.sql.execute(_INSERT, edges(now))
        await citus.count_by_hand(service.sql)
        await service.sql.execute("SELECT sms_data.fold_counts(700)")  # and others are not folded
        yield service


async def text_of(service: Service, path: str) -> str:
    async with service.client.get(service.ops_url + path, headers={"Accept": "text/html"}) as response:
        assert response.status == 200, path
        return await response.text()


@pytest.mark.parametrize(
    "asked",
    [
        "since=1h",
        "since=24h",
        "since=7d&provider=tencent",
        "since=9d&country=-",
        "since={two_days}T05:29:59Z&until={day}T12:30Z",
        "since={nine_days}&until={day}T00:00:00.000001Z",
        "since=3h&until=1h",
    ],
)
async def test_each_figure_is_the_number_of_rows_behind_it(service: Service, asked: str) -> None:
    today = datetime.now(UTC)
    days = {"day": today - DAY, "two_days": today - 2 * DAY, "nine_days": today - 9 * DAY}
    query = asked.format(**{name: f"{day:%Y-%m-%d}" for name, day in days.items()})
    page = await text_of(service, f"/?{query}")
    figures = {unescape(link): int(number.replace(",", "")) for link, number in _FIGURE.findall(page)}
    assert len(figures) > 10
    listed = {}
    for link in figures:
        path, _, filters = link.partition("?")
        whole = await text_of(service, f"{path}.csv?{filters}")
        listed[link] = sum(1 for _ in csv.reader(io.StringIO(whole))) - 1
        page = await text_of(service, link)
        assert page.count('<td class="number">') >= min(100, listed[link]), link
    assert listed == figures
