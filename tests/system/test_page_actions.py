"""What people do on the pages, in a browser: take a list home, replay, purge, send a test, copy, see the tokens."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from support import browser as browsers
from support import service as services
from support.browser import Visitor
from support.cases import case
from support.service import Service

from receiver.pages import downloads
from receiver.settings import Settings

SAMPLE = case("huawei/single-vendor-sample")
OPS_TOKEN, CALLBACK_TOKEN = "an-ops.token-of-some-length", "token-of-the-callbacks"
REPORTS = "/reports?since=30d"
LINK = "Download all as CSV"
STREAMING = "pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
REJECT = """
INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, content_type, body, remote_addr)
SELECT gen_random_uuid(), 'huawei', '/callback/huawei/report', now() - interval '1 hour', 'no JSON', 'text/plain', body,
       '192.0.2.7'
FROM unnest($1::bytea[]) AS body
"""


@pytest.fixture
async def visitor(browser: Browser, stand: Service) -> AsyncIterator[Visitor]:
    async with browsers.visiting(browser, stand.ops_url) as visitor:
        yield visitor


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Downloads stop after their first rows until it is set."""
    event, taken, then = asyncio.Event(), [], downloads._next

    async def held(chunks: AsyncIterator[Any]) -> Any:
        if taken:
            await event.wait()
        taken.append(chunks)
        return await then(chunks)

    monkeypatch.setattr(downloads, "_next", held)
    return event


async def test_a_list_comes_home_whole_and_says_how_far_it_is(
    visitor: Visitor, stand: Service, go_on: asyncio.Event, tmp_path: Path
) -> None:
    page, line = visitor.page, visitor.page.locator("[data-progress]")
    await visitor.go(REPORTS)
    async with page.expect_download() as started:
        await page.get_by_role("link", name=LINK).click()
    download = await started.value
    await expect(line).to_contain_text(" of about ")
    go_on.set()
    await expect(line).to_contain_text("rows, all there")
    assert await download.failure() is None
    assert download.suggested_filename.endswith(".csv")
    await download.save_as(tmp_path / "reports.csv")
    with (tmp_path / "reports.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    (stored,) = await stand.rows("SELECT count(*) FROM sms.delivery_report")
    assert len(rows) == stored["count"] > 1_000
    assert await line.inner_text() == f"{len(rows):,} rows, all there"


async def test_a_list_that_breaks_off_has_failed_in_the_browser_and_on_the_page(
    visitor: Visitor, stand: Service, go_on: asyncio.Event
) -> None:
    page = visitor.page
    await visitor.go(REPORTS)
    async with page.expect_download() as started:
        await page.get_by_role("link", name=LINK).click()
    assert await stand.rows(f"SELECT pg_terminate_backend(pid) FROM {STREAMING}")
    go_on.set()
    assert await (await started.value).failure()
    await expect(page.locator("[data-progress]")).to_contain_text("broke off")


async def test_a_replay_and_a_purge_ask_first(browser: Browser, service: Service) -> None:
    async def kept() -> tuple[int, int]:
        (row,) = await service.rows(
            "SELECT (SELECT count(*) FROM sms.delivery_report) AS reports,"
            " (SELECT count(*) FROM sms.rejected_payload) AS rejected"
        )
        return row["reports"], row["rejected"]

    await service.sql.execute(REJECT, [SAMPLE.body, b"nonsense for ever"])
    async with browsers.visiting(browser, service.ops_url) as visitor:
        page = visitor.page
        await visitor.go("/rejected")
        await page.get_by_role("link", name="Replay…").click()
        await expect(page.get_by_role("main")).to_contain_text("Nothing is changed yet")
        assert not await visitor.accessibility_faults()
        assert await kept() == (0, 2)
        await page.get_by_role("button", name="Replay 2 payloads").click()
        await expect(page.get_by_role("main")).to_contain_text("1 wholly understood, 1 rows stored")
        assert await kept() == (1, 2)
        await page.get_by_role("link", name="Back", exact=True).click()
        await page.get_by_role("link", name="Payload").click()
        await expect(page.get_by_label("The body as text")).to_have_text("nonsense for ever")
        assert not await visitor.accessibility_faults()
        await page.get_by_role("link", name="Purge…").click()
        await expect(page.get_by_role("main")).to_contain_text("would be deleted")
        assert await kept() == (1, 2)
        await page.get_by_role("main").get_by_role("button").click()
        await expect(page.get_by_role("main")).to_contain_text("1 payload was deleted")
        assert await kept() == (1, 1)


async def test_a_url_is_copied_and_a_test_send_leads_to_its_message(browser: Browser, service: Service) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    async with browsers.visiting(browser, service.ops_url, permissions=permissions) as visitor:
        page = visitor.page
        await visitor.go("/callbacks")
        url = f"{service.url}/callback/huawei/report"
        await page.get_by_role("button", name=f"Copy {url}", exact=True).click()
        await expect(page.get_by_text("Copied", exact=True)).to_have_count(1)
        assert await page.evaluate("navigator.clipboard.readText()") == url
        await page.get_by_role("button", name="Test send").first.click()
        await expect(page.get_by_role("heading", name="Sent and taken")).to_be_visible()
        assert not await visitor.accessibility_faults()
        await page.get_by_role("link", name="See the message").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Message test-")
        await expect(page.get_by_role("main").locator(".status").first).to_have_text("delivered")


async def test_tokens_are_shown_to_somebody_who_has_logged_in_and_asks(
    browser: Browser, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(ops_token=OPS_TOKEN, callback_tokens=CALLBACK_TOKEN)
    async with (
        services.running(settings) as locked,
        browsers.visiting(browser, locked.ops_url) as visitor,
    ):
        page = visitor.page
        await visitor.go("/callbacks")
        assert CALLBACK_TOKEN not in await page.content()
        await page.get_by_label("Token").fill(OPS_TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url("**/callbacks")
        assert CALLBACK_TOKEN not in await page.content()
        await page.get_by_role("button", name="Show tokens").click()
        await expect(page.locator("td.url").first).to_contain_text(f"/{CALLBACK_TOKEN}")
        await page.get_by_role("link", name="Hide them").click()
        await expect(page.locator("td.url").first).to_contain_text("<token>")
