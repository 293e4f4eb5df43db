"""The overview in a browser renews itself while somebody looks; the callback URLs can be tried from their page."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, expect
from support import browser as browsers
from support.browser import Visitor
from support.service import Service


@pytest.fixture
async def visitor(browser: Browser, stand: Service) -> AsyncIterator[Visitor]:
    async with browsers.visiting(browser, stand.ops_url, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        yield visitor


async def test_it_renews_itself_but_not_under_the_eyes_of_who_reads_the_numbers(
    visitor: Visitor, stand: Service
) -> None:
    page, minute = visitor.page, 60_000
    await page.clock.install()
    await visitor.go("/?provider=huawei")
    messages = page.locator("#figures dl dd").first
    before = int((await messages.inner_text()).replace(",", ""))
    identity = f"seen-in-the-browser-{datetime.now(UTC):%H%M%S}"
    status, _ = await stand.post("/callback/huawei/report", f"smsMsgId={identity}&status=DELIVRD")
    assert status == 200
    await page.get_by_text("Numbers").first.click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.run_for(minute)
    assert not asked
    await page.get_by_text("Numbers").first.click()
    await page.locator("body").click(position={"x": 1, "y": 1})
    await stand.sql.execute("SELECT pg_sleep(5.1)")  # for so long viewers share an answer
    await page.clock.run_for(minute)
    await expect(messages).to_have_text(f"{before + 1:,}")
    await expect(page.get_by_role("main")).to_contain_text("China (CN)")


async def test_a_bar_leads_to_the_messages_behind_it(visitor: Visitor) -> None:
    await visitor.go("/?since=7d&provider=huawei")
    bar = visitor.page.locator("svg.chart .bad a").first
    number = (await bar.get_attribute("aria-label") or "").rpartition(": ")[2].partition(" ")[0]
    await bar.click()
    await expect(visitor.page).to_have_url(re.compile(r"/messages\?since=.*&status=failed$"))
    await expect(visitor.page.locator("tbody tr")).to_have_count(int(number))


async def test_a_callback_url_is_copied_and_tried(visitor: Visitor, stand: Service) -> None:
    await visitor.go("/callbacks")
    page = visitor.page
    await page.get_by_role("button", name="Copy").first.click()
    assert await page.evaluate("navigator.clipboard.readText()") == f"{stand.url}/callback/huawei/report"
    await page.get_by_role("button", name="Test send").first.click()
    await expect(page.get_by_role("heading", name="Sent and taken")).to_be_visible()
    assert not await visitor.accessibility_faults()
    await page.get_by_role("link", name="See the message").click()
    await expect(page.get_by_role("main")).to_contain_text("delivered")
