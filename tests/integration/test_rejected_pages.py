"""An operator looks at what was not understood, byte for byte, and replays or purges it: never without being asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from support.cases import case
from support.databases import connected
from support.service import Service
from support.shared import shared_service
from support.visiting import Seen, visit
from support.visitor import Page, Visitor, visiting
from support.wire import DEADLINE_S

SAMPLE = case("huawei/single-vendor-sample")
MARKUP = "<img src=x onerror=alert(1)>\x1b[2J\u202e"

INSERT = """
INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, content_type, body, remote_addr)
VALUES ($1, 'huawei', '/callback/huawei/report', $2, $3, $4, $5, '192.0.2.7')
"""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        yield service


@pytest.fixture
async def sql(service: Service) -> asyncpg.Connection:
    await service.sql.execute("DELETE FROM sms_data.rejected_payload")
    return service.sql


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[Visitor]:
    async with visiting(service.ops_url) as visitor:
        yield visitor


async def reject(sql: asyncpg.Connection, number: int, body: bytes, error: str = "no JSON", days: float = 0.1) -> str:
    rejected_id = UUID(int=number << 96)
    await sql.execute(INSERT, rejected_id, datetime.now(UTC) - timedelta(days=days), error, MARKUP, body)
    return str(rejected_id)


async def count(sql: asyncpg.Connection) -> int:
    return int(await sql.fetchval("SELECT count(*) FROM sms.rejected_payload"))


async def send(browser: Visitor, page: Page, path: str) -> Page:
    """The page's only form, as it stands there."""
    source = Seen(page.status, "", page.text.partition("<main")[2], {})
    names = ("rejected_id", "provider", "error", "since", "until", "replayed")
    given = {name: value for name in names if (value := source.value(name)) is not None}
    return await browser.post(path, given | {"csrf": page.csrf})


async def test_the_list_has_the_filters_of_the_command(service: Service, sql: asyncpg.Connection) -> None:
    for number, (days, error) in enumerate([(20, "no JSON"), (3, f"No JSON {MARKUP}"), (1, "no smsMsgId")], start=1):
        await reject(sql, number, b"x", error, days)
    await sql.execute("UPDATE sms_data.rejected_payload SET replayed_at = now() WHERE error = 'no JSON'")

    async def listed(query: str = "") -> int:
        return (await visit(service, f"/rejected{query}")).source.count('href="/rejected/0')

    assert [await listed(query) for query in ("", "?replayed=1", "?error=NO+JSON", "?provider=tencent")] == [2, 3, 1, 0]
    assert await listed("?since=10d&until=2d") == 1
    page = await visit(service, "/rejected")
    assert "<img src=x" not in page.source
    assert "\x1b" not in page.source
    assert "No JSON <img src=x onerror=alert(1)>" in page.text
    assert (await visit(service, "/rejected?until=whenever")).status == 400


async def test_the_bytes_are_shown_in_pages_as_text_and_in_hexadecimal(
    service: Service, sql: asyncpg.Connection
) -> None:
    body = bytes(range(256)) * 40 + MARKUP.encode()
    path = f"/rejected/{await reject(sql, 1, body)}"
    page, offsets = await visit(service, path), 0
    assert page.status == 200
    assert "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f" in page.text
    assert r"\x1b[2J\u202e" in page.text, "its Content-Type"
    while True:
        offsets += page.source.count('class="offset"')
        assert "onerror=alert(1)>" not in page.source
        if "After" not in page.links:
            break
        page = await visit(service, path + page.links["After"])
    assert offsets == -(-len(body) // 16)
    async with service.client.get(f"{service.ops_url}{path}/body") as response:
        assert await response.read() == body
        assert response.headers["Content-Disposition"].startswith("attachment; filename=")
        assert response.content_type == "application/octet-stream"


@pytest.mark.parametrize("path", ["/rejected/no-id", f"/rejected/{UUID(int=9)}", f"/rejected/{UUID(int=9)}/body"])
async def test_what_is_gone_is_said_to_be(service: Service, path: str) -> None:
    assert (await visit(service, path)).status == 404


async def test_a_replay_shows_first_what_it_would_do(
    service: Service, sql: asyncpg.Connection, browser: Visitor
) -> None:
    await reject(sql, 1, SAMPLE.body, "an older version knew no better")
    rejected_id = await reject(sql, 2, b"nonsense for ever")
    asked = await browser.get("/rejected/replay")
    assert (asked.status, "Nothing is changed yet" in asked.text) == (200, True)
    assert (await browser.get(f"/rejected/replay?rejected_id={rejected_id}")).csrf == "", "it would change nothing"
    assert await service.rows("SELECT FROM sms.delivery_report") == []

    for wrong in ({}, {"csrf": "wrong"}):
        assert (await browser.post("/rejected/replay", wrong)).status == 403
    assert await service.rows("SELECT FROM sms.delivery_report") == []

    done = await send(browser, asked, "/rejected/replay")
    assert (done.status, "2 read again, 1 wholly understood, 1 rows stored" in done.text) == (200, True)
    assert len(await service.rows("SELECT FROM sms.delivery_report")) == 1
    assert len(await service.rows("SELECT FROM sms.rejected_payload WHERE replayed_at IS NULL")) == 1


async def test_a_purge_asks_first_and_takes_no_more_than_it_said(sql: asyncpg.Connection, browser: Visitor) -> None:
    for number in range(1, 5):
        await reject(sql, number, b"x", "no JSON" if number < 4 else "something else")
    asked = await browser.get("/rejected/purge?error=json")
    assert "3 payloads would be deleted for good" in asked.text
    assert (await browser.post("/rejected/purge", {"error": "json"})).status == 403
    assert await count(sql) == 4

    await reject(sql, 5, b"x", days=-0.01)
    done = await send(browser, asked, "/rejected/purge")
    assert "3 payloads were deleted" in done.text
    assert await count(sql) == 2

    one = str(UUID(int=4 << 96))
    asked = await browser.get(f"/rejected/purge?rejected_id={one}")
    assert one in asked.text
    assert "1 payload was deleted" in (await send(browser, asked, "/rejected/purge")).text
    assert await count(sql) == 1


@pytest.mark.parametrize("query", ["rejected_id=nothing", "since=nonsense", "rejected_id=%00", "country=CN"])
async def test_what_names_no_payloads_is_refused(browser: Visitor, query: str) -> None:
    for path in ("/rejected/purge", "/rejected/replay"):
        assert (await browser.get(f"{path}?{query}")).status == 400


async def test_of_two_changes_at_once_the_second_is_told_of_the_first(
    service: Service, sql: asyncpg.Connection
) -> None:
    async with connected(service.settings.database_url.get_secret_value()) as other, other.transaction():
        await other.execute("LOCK TABLE sms_data.rejected_payload IN ACCESS EXCLUSIVE MODE")
        first = asyncio.create_task(visit(service, "/rejected/purge"))
        await until_waiting(sql)
        second = await visit(service, "/rejected/purge")
        assert (second.status, "another replay or purge is under way" in second.text) == (503, True)
    assert (await first).status == 200


async def until_waiting(sql: asyncpg.Connection) -> None:
    """Until somebody waits for a lock."""
    async with asyncio.timeout(DEADLINE_S):
        while not await sql.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.02)
