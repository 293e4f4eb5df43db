"""The lists beside the messages', and the overview's figures: each says what was stored, and hides the numbers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from support.databases import emptied
from support.reports import NOON, callback, job, report, store, submission

from receiver.reading import lists, overview, times
from receiver.reading.filters import Filters
from receiver.reading.reader import Reader
from receiver.report import ProviderName, Reply, content_id
from receiver.store.job import job_of
from receiver.store.maintenance import counts as counting
from receiver.store.maintenance import overdue

NUMBER = "+8615512345678"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
OTHER = ProviderName("cloudsms")
NOW = NOON + timedelta(hours=3, minutes=30)


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


def asked(**wanted: str) -> Filters:
    return Filters.parse(wanted)


async def test_reports_are_listed_and_found_by_number(sql: asyncpg.Connection, reader: Reader) -> None:
    await store(
        sql,
        job(report("ACCEPTD", message_id="a", recipient=NUMBER, raw='{"to": "8615512345678"}'), received_at=NOON),
        job(report("DELIVRD", message_id="a", recipient=NUMBER), received_at=NOON + MINUTE),
        job(report("UNDELIV", message_id="b", recipient=NUMBER + "1"), received_at=NOON + 2 * MINUTE),
    )
    page = await lists.reports(reader, asked(), now=NOW)
    assert [row.code for row in page.rows] == ["UNDELIV", "DELIVRD", "ACCEPTD"]
    assert NUMBER[1:] not in repr(page), "neither the number nor what the platform sent"
    page = await lists.reports(reader, asked(number=NUMBER), now=NOW, limit=1)
    assert [row.code for row in page.rows] == ["DELIVRD"]
    page = await lists.reports(reader, asked(number=NUMBER), now=NOW, limit=1, older=page.older)
    assert ([row.recipient for row in page.rows], page.older) == ([NUMBER], None)
    assert [row.code for row in (await lists.reports(reader, asked(status="failed"), now=NOW)).rows] == ["UNDELIV"]


async def test_replies_are_listed_and_found_by_who_wrote(sql: asyncpg.Connection, reader: Reader) -> None:
    for number, text in enumerate(("STOP", "<b>hello</b>", "yes")):
        reply = Reply(
            provider=OTHER,
            reply_id=content_id(text),
            body=text,
            raw="{}",
            sender=f"{NUMBER[:-1]}{number}",
            recipient="10690",
        )
        await store(sql, job_of(callback(NOON + number * MINUTE), OTHER, replies=[reply]))
    page = await lists.replies(reader, asked(), now=NOW)
    assert [(row.body, row.sender) for row in page.rows][:2] == [
        ("yes", "+86155****5672"),
        ("<b>hello</b>", "+86155****5671"),
    ]
    (row,) = (await lists.replies(reader, asked(number=f"{NUMBER[:-1]}0", sender="10690"), now=NOW)).rows
    assert (row.body, row.sender) == ("STOP", f"{NUMBER[:-1]}0")


async def test_rejected_payloads_are_listed_without_their_bytes(sql: asyncpg.Connection, reader: Reader) -> None:
    odd = bytes(range(256))
    await store(
        sql,
        job(received_at=NOON, body=odd, error="not JSON: 100%"),
        job(received_at=NOON + MINUTE, body=b"{}", error="no message id"),
    )
    await sql.execute("UPDATE sms_data.rejected_payload SET replayed_at = now() WHERE error LIKE 'no%id'")
    (row,) = (await lists.rejected(reader, asked(), now=NOW)).rows
    assert (row.error, row.size, row.remote_addr) == ("not JSON: 100%", 256, "127.0.0.1")
    assert len((await lists.rejected(reader, asked(replayed="1"), now=NOW)).rows) == 2
    assert [r.rejected_id for r in (await lists.rejected(reader, asked(error="json: 100%"), now=NOW)).rows] == [
        row.rejected_id
    ]
    assert (await lists.rejected(reader, asked(error="json: 1_0%"), now=NOW)).rows == []
    whole = await lists.rejected_body(reader, row.rejected_id)
    assert whole == (row, odd)
    await sql.execute("TRUNCATE sms_data.rejected_payload")
    assert await lists.rejected_body(reader, row.rejected_id) is None


async def test_overdue_messages_are_listed_and_counted(sql: asyncpg.Connection, reader: Reader) -> None:
    now = datetime.now(UTC)
    await overdue.refresh(sql, {"huawei": 72, "cloudsms": 72})
    for hours in (1, 80, 100):
        sent = now - timedelta(hours=hours)
        handed = submission(message_id=f"{hours}h", recipient=NUMBER, country="CN", submitted_at=sent)
        await store(sql, job(handed, received_at=sent))
    page = await lists.overdue(reader, asked(), now=now)
    assert [(row.message_id, row.recipient, row.rule) for row in page.rows] == [
        ("80h", "+86155****5678", "window"),
        ("100h", "+86155****5678", "window"),
    ]
    assert (await lists.overdue(reader, asked(country="-"), now=now)).rows == []
    (counted,) = await lists.overdue_counts(reader)
    assert (counted.provider, counted.rule, counted.messages) == ("huawei", "window", 2)


@pytest.fixture
async def hours(sql: asyncpg.Connection) -> None:
    """Of this afternoon two delivered, two failed and one under way; of yesterday one delivered."""
    await store(
        sql,
        job(report("DELIVRD", message_id="1", country="CN"), received_at=NOON),
        job(report("DELIVRD", message_id="2", country="CN"), received_at=NOON + MINUTE),
        job(report("UNDELIV", message_id="3", country="SG"), received_at=NOON + timedelta(hours=2)),
        job(report("MK:0001", message_id="4"), received_at=NOON + timedelta(hours=2)),
        job(report("ACCEPTD", message_id="5", provider=OTHER), received_at=NOON + timedelta(hours=3), provider=OTHER),
        job(report("DELIVRD", message_id="0", country="CN"), received_at=NOON - DAY),
    )
    await counting.fold(sql)


async def test_an_overview_counts_by_step_platform_country_and_reason(hours: None, reader: Reader) -> None:
    counts = await overview.counts(reader, asked(since="4h"), now=NOW)
    assert counts.totals == overview.Totals(messages=5, delivered=2, failed=2, reports=5)
    assert (counts.totals.under_way, counts.totals.rate) == (1, 0.5)
    assert [(step.at - NOON, step.totals.messages) for step in counts.series] == [
        (timedelta(hours=n), messages) for n, messages in ((-1, 0), (0, 2), (1, 0), (2, 2), (3, 1))
    ]
    assert [(group.name, group.totals.messages) for group in counts.providers] == [("huawei", 4), ("cloudsms", 1)]
    assert [(group.name, group.totals.rate) for group in counts.countries] == [("-", 0.0), ("CN", 1.0), ("SG", 0.0)]
    assert counts.reasons == [("number_unavailable", 1), ("unreachable", 1)]
    codes = await overview.failed_codes(reader, asked(since="4h"), now=NOW)
    assert [(row.code, row.messages) for row in codes] == [("MK:0001", 1), ("UNDELIV", 1)]
    for group in counts.countries:  # every figure is the sum of the list behind it
        one = await overview.counts(reader, asked(since="4h", country=group.name), now=NOW)
        assert one.totals == group.totals


async def test_an_overview_compares_with_the_day_and_the_week_before(hours: None, reader: Reader) -> None:
    found = await overview.compared(reader, asked(since="4h"), now=NOW)
    assert found.day_before == overview.Totals(messages=1, delivered=1, failed=0, reports=1)
    assert found.week_before == overview.Totals(0, 0, 0, 0)
    assert found.week_before.rate is None
    assert await overview.compared(reader, asked(since="90d"), now=NOW) == (None, None)


@pytest.mark.parametrize("since", ["1h", "24h", "5d", "31d", "90d", "365d"])
async def test_a_series_has_a_bounded_number_of_steps_and_misses_no_message(
    hours: None,
    reader: Reader,
    since: str,
) -> None:
    counts = await overview.counts(reader, asked(since=since), now=NOW)
    assert 1 <= len(counts.series) < 400
    assert sum(step.totals.messages for step in counts.series) == counts.totals.messages


async def test_delivery_times_are_of_all_and_of_each_platform(sql: asyncpg.Connection, reader: Reader) -> None:
    assert await times.delivery_times(reader, asked(), now=NOW) == (None, {})
    for number, seconds in enumerate([2] * 50 + [20] * 45 + [200] * 5):
        happened = NOON + timedelta(seconds=seconds)
        rows = (submission(message_id=f"{number}"), report("DELIVRD", message_id=f"{number}", happened_at=happened))
        await store(sql, job(*rows, received_at=happened))
    found = await times.delivery_times(reader, asked(), now=NOW)
    assert found.whole is not None
    assert found.whole.messages == 100
    assert found.whole[1:4] == pytest.approx((2, 20, 200), rel=0.06)
    assert found.providers == {"huawei": found.whole}


async def test_the_last_hour_is_told_by_the_minute_and_who_reported_last(hours: None, reader: Reader) -> None:
    found = await times.recent(reader, now=NOW)
    assert len(found.minutes) == 60
    assert [(minute.at - NOON, minute.reports) for minute in found.minutes if minute.reports] == [
        (timedelta(hours=3), 1)
    ]
    assert found.last == [
        ("cloudsms", NOON + timedelta(hours=3), True),
        ("huawei", NOON + timedelta(hours=2), False),
    ]


async def test_at_a_high_rate_only_whole_minutes_are_told(
    sql: asyncpg.Connection, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ago in range(1, 6):
        rows = [report("DELIVRD", message_id=f"{ago}-{n}") for n in range(3)]
        await store(sql, job(*rows, received_at=NOW - ago * MINUTE))
    monkeypatch.setattr(times, "MAX_RECENT", 7)
    monkeypatch.setattr(times, "_RECENT", times._RECENT.replace("LIMIT 100000", "LIMIT 7"))
    found = await times.recent(reader, now=NOW)
    assert [(NOW - minute.at, minute.reports) for minute in found.minutes] == [
        (2 * MINUTE, 3),
        (1 * MINUTE, 3),
        (0 * MINUTE, 0),
    ]
