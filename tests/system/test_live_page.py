"""The live page in a browser: rows come by themselves, can be held, and are never markup."""

import json
from collections.abc import Callable

from playwright.async_api import Browser, expect
from support import browser as browsers
from support import service as services
from support.service import Service

from receiver.settings import Settings

TOKEN = "an-ops.token-of-some-length"
EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[31m&amp;"
SHOWN = r"<img src=x onerror=alert(1)>\u202e\x1b[31m&amp;"
FIRST = "#live tbody tr:first-child"


async def report(service: Service, message_id: str, code: str = "DELIVRD", **fields: str) -> None:
    body = json.dumps({"statusReportList": [{"smsMsgId": message_id, "status": code, **fields}]})
    status, _ = await service.post("/callback/huawei/reports", body)
    assert status == 200


async def test_rows_come_as_they_are_kept_and_stop_while_it_is_paused(browser: Browser, service: Service) -> None:
    await report(service, "before")
    async with browsers.visiting(browser, service.ops_url) as visitor:
        page = visitor.page
        await visitor.go("/live")
        await expect(page.locator("#state")).to_have_text("Live.")
        await expect(page.locator(FIRST)).to_contain_text("before")
        await report(service, EVIL, EVIL)
        row = page.locator(FIRST)
        await expect(row.locator("[data-cell=message]")).to_have_text(SHOWN)
        await expect(row.locator(".status")).to_have_text("unknown")
        assert not await page.locator("#live img").count()
        await page.get_by_role("button", name="Pause").press("Enter")
        await expect(page.locator("#state")).to_have_text("Paused.")
        await report(service, "meanwhile", "UNDELIV")
        await page.wait_for_timeout(1_000)
        await expect(page.locator(FIRST)).not_to_contain_text("meanwhile")
        await page.get_by_role("button", name="Pause").press("Space")
        await expect(page.locator(FIRST)).to_contain_text("meanwhile")
        assert await page.locator("#live tbody tr").count() == 3
        assert not await visitor.accessibility_faults()


async def test_a_row_that_was_there_and_one_that_came_look_alike(browser: Browser, service: Service) -> None:
    """The server renders the first, the script the second."""
    async with browsers.visiting(browser, service.ops_url) as visitor:
        page = visitor.page
        await visitor.go("/live")
        await expect(page.locator("#state")).to_have_text("Live.")
        await report(service, "m/1", "MK:0001", updateTime="2026-11-20T06:31:46Z", sequence="2", total="3")
        await service.post("/callback/huawei/report", b"\xff")
        await expect(page.locator(FIRST)).to_contain_text("payload rejected")
        rows = "els => els.slice(0, 2).map(el => el.outerHTML.replace(/\\s+</g, '<'))"
        came = await page.locator("#live tbody tr").evaluate_all(rows)
        await visitor.go("/live")
        assert await page.locator("#live tbody tr").evaluate_all(rows) == came


async def test_a_filter_is_in_the_url_and_a_flood_says_that_it_is_sampled(browser: Browser, service: Service) -> None:
    async with browsers.visiting(browser, service.ops_url) as visitor:
        page = visitor.page
        await visitor.go("/live")
        await page.get_by_label("Status").select_option("rejected")
        await page.get_by_role("button", name="Filter").click()
        assert "status=rejected" in page.url
        await expect(page.locator("#state")).to_have_text("Live.")
        await report(service, "unwanted")
        await report(service, "wanted", "REJECTD")
        await expect(page.locator(FIRST)).to_contain_text("wanted")
        assert await page.get_by_label("Status").input_value() == "rejected"
        await visitor.go("/live")
        await expect(page.locator("#state")).to_have_text("Live.")
        items = [{"smsMsgId": f"flood-{number}", "status": "DELIVRD"} for number in range(400)]
        await service.post("/callback/huawei/reports", json.dumps({"statusReportList": items}))
        await expect(page.locator("#sampled")).to_contain_text("are shown")
        assert await page.locator("#live tbody tr", has_text="flood-").count() < 100


async def test_without_a_script_it_is_a_table_with_a_link(browser: Browser, service: Service) -> None:
    await report(service, "plain")
    async with browsers.visiting(browser, service.ops_url, java_script_enabled=False) as visitor:
        await visitor.go("/live?code=DELIVRD")
        await report(service, "newer")
        await visitor.page.get_by_role("link", name="Show the newest").click()
        await expect(visitor.page.locator(FIRST)).to_contain_text("newer")
        assert not await visitor.page.get_by_role("button", name="Pause").is_visible()


async def test_a_session_that_ends_ends_the_stream_and_the_page_leads_to_the_log_in(
    browser: Browser, make_settings: Callable[..., Settings]
) -> None:
    """A browser cannot send a bearer token with a stream: its session must do."""
    async with (
        services.running(make_settings(ops_token=TOKEN)) as locked,
        browsers.visiting(browser, locked.ops_url) as visitor,
    ):
        page = visitor.page
        await visitor.go("/live")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator("#state")).to_have_text("Live.")
        await report(locked, "seen")
        await expect(page.locator(FIRST)).to_contain_text("seen")
        other = await page.context.new_page()
        await other.goto(f"{locked.ops_url}/codes")
        await other.get_by_role("button", name="Log out").click()
        await page.bring_to_front()
        await expect(page.locator("#state")).to_contain_text("Not connected")
        await page.get_by_role("link", name="Show the newest").click()
        await page.wait_for_url("**/login**")
        visitor.faults.clear()  # the stream's 401
