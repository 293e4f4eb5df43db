"""The pages in a real browser: every one works, by day and by night, on a telephone, and without JavaScript."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect
from support import browser as browsers
from support.browser import Visitor
from support.service import Service

from receiver.pages.routes import MENU

SHORT = {"/codes": "?q=blocklist", "/messages": "?since=3h"}
"""Of these lists a part, as axe-core looks at every cell."""


@pytest.fixture
async def visitor(browser: Browser, stand: Service) -> AsyncIterator[Visitor]:
    async with browsers.visiting(browser, stand.ops_url) as visitor:
        yield visitor


@pytest.mark.parametrize("path", [path for path, _ in MENU])
async def test_a_page_is_accessible_by_day_and_by_night_and_fits_a_telephone(visitor: Visitor, path: str) -> None:
    await visitor.go(path + SHORT.get(path, ""))
    entry = visitor.page.get_by_role("link", name=dict(MENU)[path], exact=True)
    await expect(entry).to_have_attribute("aria-current", "page")
    for scheme in ("light", "dark"):
        await visitor.page.emulate_media(color_scheme=scheme)
        assert not await visitor.accessibility_faults()
    await visitor.page.set_viewport_size({"width": 390, "height": 800})
    assert await visitor.overflow_px() <= 0


@pytest.mark.parametrize("path", [path for path, _ in MENU])
async def test_a_page_needs_no_script(browser: Browser, stand: Service, path: str) -> None:
    async with browsers.visiting(browser, stand.ops_url, java_script_enabled=False) as visitor:
        await visitor.go(path)
        await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()


async def test_faults_are_noticed(visitor: Visitor) -> None:
    await visitor.go("/spool")
    await visitor.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'alert(1)'; document.body.append(s);"
        " const i = new Image(); i.src = 'http://192.0.2.1/x.png'; document.body.append(i); i.className = 'unnamed' }"
    )
    assert [one for one in await visitor.accessibility_faults() if one.startswith("image-alt")]
    await visitor.page.wait_for_timeout(100)
    visitor.expect("console: Executing inline script violates")
    visitor.expect("console: Loading the image")
    visitor.expect("outside: http://192.0.2.1/x.png")


async def test_a_number_in_any_way_of_writing_leads_to_its_message(visitor: Visitor, stand: Service) -> None:
    (row,) = await stand.rows(
        "SELECT provider, message_id, recipient FROM sms.message WHERE recipient LIKE '+86%' AND country = 'CN'"
        " ORDER BY first_received_at DESC LIMIT 1"
    )
    number, page = row["recipient"], visitor.page
    await visitor.go("/messages")
    assert number not in await page.content()
    search = page.get_by_role("searchbox", name="Phone number, message id or correlation")
    await search.fill(f"00{number[1:3]} {number[3:6]}-{number[6:10]} {number[10:]}")
    async with page.expect_navigation():
        await search.press("Enter")
    await page.get_by_role("link", name=row["message_id"], exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(row["message_id"])
    await expect(page.get_by_role("main")).to_contain_text(number)
    assert not await visitor.accessibility_faults()
    await visitor.go(f"/messages/{row['provider']}/{row['message_id'].replace(':', '%3A')}")
    await expect(page.get_by_role("main")).not_to_contain_text(number)
