"""Messages as people look for them: by number, id, correlation, state; page after page; and one message's history."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from support.databases import emptied
from support.reports import NOON, job, report, store, submission

from receiver.reading import messages
from receiver.reading.filters import Filters
from receiver.reading.history import by_segment, history
from receiver.reading.paging import Page
from receiver.reading.reader import Limits, Reader
from receiver.reading.rows import Message
from receiver.report import ProviderName

NUMBER = "+8615512345678"
MINUTE = timedelta(minutes=1)
OTHER = ProviderName("cloudsms")
NOW = NOON + timedelta(days=3)


@pytest.fixture
async def sql(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


async def found(reader: Reader, **wanted: str) -> list[str]:
    page = await messages.listed(reader, Filters.parse({"since": "30d"} | wanted), now=NOW)
    return [row.message_id for row in page.rows]


@pytest.fixture
async def few(sql: asyncpg.Connection) -> None:
    """A month with little in it."""
    await store(
        sql,
        job(
            report("MK:0001", message_id="old", recipient=NUMBER, country="CN", sender="ACME"),
            received_at=NOON - timedelta(days=20),
        ),
        job(report("DELIVRD", message_id="arrived", recipient=NUMBER, country="CN"), received_at=NOON),
        job(report("ACCEPTD", message_id="flying", country="SG"), received_at=NOON + MINUTE),
        job(report("UNDELIV", message_id="failed", recipient=NUMBER + "1"), received_at=NOON + 2 * MINUTE),
        job(report("DELIVRD", message_id="another's", provider=OTHER), received_at=NOON + 3 * MINUTE, provider=OTHER),
        job(submission(message_id="silent", recipient=NUMBER), received_at=NOON + 4 * MINUTE),
    )


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["silent", "another's", "failed", "flying", "arrived", "old"]),
        ({"since": "2026-03-01", "until": "2026-03-01T12:02"}, ["flying", "arrived"]),
        ({"provider": "cloudsms"}, ["another's"]),
        ({"country": "sg"}, ["flying"]),
        ({"country": "-"}, ["silent", "another's", "failed"]),
        ({"status": "failed"}, ["failed", "old"]),
        ({"status": "under_way"}, ["silent", "flying"]),
        ({"status": "delivered", "provider": "huawei"}, ["arrived"]),
        ({"reason": "unreachable"}, ["failed"]),
        ({"reason": "-", "status": "under_way"}, ["silent", "flying"]),
        ({"code": "MK:0001"}, ["old"]),
        ({"code": "MK:0001", "sender": "ACME"}, ["old"]),
        ({"status": "failed", "sender": "nobody"}, []),
        ({"sender": "ACME"}, ["old"]),
        ({"number": "155 1234 5678"}, ["silent", "arrived", "old"]),
        ({"number": NUMBER, "status": "delivered"}, ["arrived"]),
        ({"number": NUMBER, "since": "5d"}, ["silent", "arrived"]),
        ({"number": NUMBER, "since": "2026-02-03", "until": "2026-03-01T12:04"}, ["arrived", "old"]),
        ({"message_id": "flying"}, ["flying"]),
        ({"message_id": "flying", "provider": "cloudsms"}, []),
        ({"correlation": "order-18"}, []),
    ],
)
async def test_filters_find_what_they_say(few: None, reader: Reader, wanted: dict[str, str], ids: list[str]) -> None:
    assert await found(reader, **wanted) == ids


async def test_messages_of_a_send_request_are_found_by_its_correlation(sql: asyncpg.Connection, reader: Reader) -> None:
    handed = job(submission(message_id="a", recipient=NUMBER), submission(message_id="b", recipient=NUMBER))
    await store(sql, handed)
    await sql.execute("UPDATE sms_data.submission SET correlation = 'order-17'")
    assert await found(reader, correlation="order-17") == ["a", "b"]
    assert await found(reader, correlation="order-17", status="failed") == []


async def test_each_message_of_a_send_request_is_found_once_whatever_its_number(
    sql: asyncpg.Connection, reader: Reader
) -> None:
    """One of a request's numbers is not one that can be, and of another nothing was handed over."""
    ones = [submission(message_id="a", recipient=f"{NUMBER}{last}", recipient_key=last) for last in "12"]
    odd = submission(message_id="a", recipient_key="odd")
    await store(sql, job(*ones, odd), job(report("DELIVRD", message_id="a", recipient=NUMBER, recipient_key="3")))
    await sql.execute("UPDATE sms_data.submission SET correlation = 'order-17'")
    assert await found(reader, correlation="order-17") == ["a"] * 4


async def test_numbers_are_masked_where_nobody_asked_for_them(few: None, reader: Reader) -> None:
    def recipients(page: Page[Message]) -> set[str | None]:
        return {row.recipient for row in page.rows if row.message_id == "arrived"}

    wanted = {"since": "30d"}
    assert recipients(await messages.listed(reader, Filters.parse(wanted), now=NOW)) == {"+86155****5678"}
    assert recipients(await messages.listed(reader, Filters.parse(wanted | {"number": NUMBER}), now=NOW)) == {NUMBER}


@pytest.mark.parametrize("wanted", [{}, {"status": "failed"}, {"number": NUMBER}])
async def test_page_after_page_shows_each_message_once_in_order_also_those_of_one_moment(
    sql: asyncpg.Connection, reader: Reader, wanted: dict[str, str]
) -> None:
    hours = [timedelta(hours=h) for h in (0, 0, 1, 50, 50, 400)]
    await store(
        sql,
        *(
            job(
                *(report("UNDELIV", message_id=f"{n}-{k}", recipient=NUMBER) for k in range(5)),
                received_at=NOW - ago - MINUTE,
            )
            for n, ago in enumerate(hours)
        ),
    )
    filters = Filters.parse({"since": "30d"} | wanted)
    whole = await messages.listed(reader, filters, now=NOW)
    assert len(whole.rows) == 30
    assert whole.older is None
    for limit in (1, 4, 7):
        shown, older, pages = [], None, 0
        while pages == 0 or older is not None:
            page = await messages.listed(reader, filters, now=NOW, older=older, limit=limit)
            assert len(page.rows) <= limit
            shown += page.rows
            older, pages = page.older, pages + 1
        assert shown == whole.rows


async def test_a_search_that_takes_long_says_how_far_it_came_and_goes_on_from_there(
    sql: asyncpg.Connection, shared_database: str
) -> None:
    """The counts tell of hours with failures, but not of the sender: each has to be read."""
    for day in range(4):
        rows = [report("UNDELIV", message_id=f"m{day}", sender="ACME" if day == 3 else "other")]
        await store(sql, job(*rows, received_at=NOON - timedelta(days=15 * day)))
    reader = Reader(shared_database, "RECEIVER_DATABASE_URL", Limits(statement_s=1e-9))
    filters = Filters.parse({"since": "200d", "status": "failed", "sender": "ACME"})
    pages = [await messages.listed(Patient(reader), filters, now=NOW)]
    while pages[-1].older is not None:
        pages.append(await messages.listed(Patient(reader), filters, now=NOW, older=pages[-1].older))
    await reader.close()
    assert [row.message_id for page in pages for row in page.rows] == ["m3"]
    assert [page.searched_since and NOON - page.searched_since for page in pages] == [
        timedelta(days=30),
        timedelta(days=45),
        None,
    ]


class Patient(Reader):
    """Gives a statement its time, whatever the limit says."""

    def __init__(self, reader: Reader) -> None:
        vars(self).update(vars(reader))

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        return await super().fetch(query, *args, timeout_s=timeout_s or 20.0)


async def test_the_history_of_a_message_has_everything_that_is_known_and_what_it_means(
    sql: asyncpg.Connection, reader: Reader
) -> None:
    await store(
        sql,
        job(submission(message_id="long", recipient=NUMBER, segments=2), received_at=NOON),
        job(report("ACCEPTD", message_id="long", segment=1, segments=2), received_at=NOON + MINUTE),
        job(report("DELIVRD", message_id="long", segment=2, segments=2), received_at=NOON + 2 * MINUTE),
        job(report("MK:0001", message_id="long", segment=1, segments=2, raw='{"a": 1}'), received_at=NOON + 3 * MINUTE),
        job(report("DELIVRD", message_id="another"), received_at=NOON),
    )
    whole = await history(reader, "long")
    assert whole is not None
    (message,) = whole.messages
    assert (message.status, message.code, message.recipient) == ("undeliverable", "MK:0001", NUMBER)
    assert message.explained is not None
    assert message.explained.advice
    assert [row.code for row in whole.reports] == ["ACCEPTD", "DELIVRD", "MK:0001"]
    assert [(segment, len(rows)) for segment, rows in by_segment(whole.reports).items()] == [(1, 2), (2, 1)]
    assert whole.reports[-1].raw == '{"a": 1}'
    assert [row.code for row in whole.submissions] == ["000000"]
    masked = whole.masked()
    assert NUMBER not in repr(masked)
    assert await history(reader, "nobody's") is None
    assert await history(reader, "long", provider="cloudsms") is None
