"""Ways through the pages, in a browser: from a figure to its list, by keyboard, and where there is little to see."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, expect
from support import browser as browsers
from support import service as services
from support.browser import Visitor
from support.service import Service

from receiver.pages.routes import MENU
from receiver.settings import Settings

A_PAGE = 100
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
FIGURES = "els => els.map(el => [el.getAttribute('href'), Number(el.textContent.replaceAll(',', ''))])"
TABBABLE = "els => els.filter(el => el.tabIndex >= 0 && el.checkVisibility()).length"


def query(since_h: int, until_h: int = 0) -> str:
    """A period that begins, and perhaps ends, within an hour; figures are of whole hours."""
    now = datetime.now(UTC)
    until = f"&until={now - timedelta(hours=until_h):%Y-%m-%dT%H:30}" if until_h else ""
    return f"since={now - timedelta(hours=since_h):%Y-%m-%dT%H:59}{until}"


def figure(name: str) -> str:
    return f"dl.main .figure:has(dt:text-is('{name}')) a"


@pytest.fixture
async def visitor(browser: Browser, stand: Service) -> AsyncIterator[Visitor]:
    async with browsers.visiting(browser, stand.ops_url) as visitor:
        yield visitor


@pytest.mark.parametrize(
    ("path", "figures"),
    [
        (lambda: f"/?{query(1)}", figure("Messages")),  # by day there are forty in an hour
        (lambda: f"/?{query(7, until_h=6)}", figure("Messages")),
        (lambda: f"/?{query(40)}", "[aria-label='By country'] td a"),
        (lambda: "/?since=7d", "[aria-label='Failed messages by reason'] td a"),
        (lambda: "/?since=7d", "[aria-label='Failed messages by code'] td.number a"),
        (lambda: "/?since=7d", figure("Not understood")),
        (lambda: "/overdue", "[aria-label='Overdue by platform and age'] td a"),
    ],
)
async def test_the_list_behind_a_figure_has_as_many_rows(
    visitor: Visitor, path: Callable[[], str], figures: str
) -> None:
    """The path is made when the test runs: workers that begin in two hours would not agree on the tests' names."""
    await visitor.go(path())
    found = await visitor.page.locator(figures).evaluate_all(FIGURES)
    short = dict([one for one in found if one[1] <= A_PAGE][:5])
    assert short
    rows = {}
    for href in short:
        await visitor.go(href)
        rows[href] = await visitor.page.locator("table").last.locator("tbody tr").count()
    assert rows == short


async def test_a_period_is_chosen_by_a_click_or_typed_and_stands_in_the_url(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.go("/?provider=huawei")
    await page.get_by_role("navigation", name="Period").get_by_role("link", name="7 days").click()
    await expect(page).to_have_url(f"{visitor.origin}/?provider=huawei&since=7d")
    await expect(page.locator(".periods [aria-current]")).to_have_text("7 days")
    await page.get_by_role("textbox", name="From").fill("2d")
    await page.get_by_role("combobox", name="Platform").select_option("")
    await page.get_by_role("button", name="Show").click()
    await expect(page).to_have_url(f"{visitor.origin}/?since=2d")
    await page.go_back()
    await expect(page.get_by_role("combobox", name="Platform")).to_have_value("huawei")


@pytest.mark.parametrize("path", ["/", "/messages?since=1h"])
async def test_the_keyboard_reaches_everything(visitor: Visitor, path: str) -> None:
    page = visitor.page
    await visitor.go(path)
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_text("Skip to the content")
    parts = "a[href], button, input, select, summary, [tabindex]"
    whole = await page.locator(parts).evaluate_all(TABBABLE)
    reached = 1
    while await page.evaluate("document.activeElement !== document.body"):
        await page.keyboard.press("Tab")
        reached += await page.evaluate("document.activeElement !== document.body")
        assert reached <= whole, "the focus goes round"
    assert reached == whole


async def test_a_slash_goes_to_the_search_and_is_typed_within_it(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.go("/messages")
    await page.keyboard.type("/a/1")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await expect(page.get_by_role("searchbox")).to_have_value("a/1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_of_a_long_message_tells_of_each_segment(browser: Browser, stand: Service, scheme: str) -> None:
    (row,) = await stand.rows(
        "SELECT message_id, segments FROM sms.message WHERE provider = 'huawei' AND status = 'undeliverable'"
        " AND segments > 2 AND segments_reported = segments ORDER BY first_received_at DESC LIMIT 1"
    )
    async with browsers.visiting(browser, stand.ops_url, color_scheme=scheme) as visitor:
        main = visitor.page.get_by_role("main")
        await visitor.go(f"/messages/huawei/{row['message_id']}")
        segments = main.get_by_role("region", name="Segments").locator("tbody tr")
        await expect(segments).to_have_count(row["segments"])
        raw = main.get_by_text("As it came").last
        await expect(main.get_by_text("statusDesc").or_(main.get_by_text("smsMsgId")).last).to_be_hidden()
        await raw.click()
        await expect(main.get_by_text("smsMsgId").last).to_be_visible()
        assert not await visitor.accessibility_faults()
        await visitor.page.set_viewport_size({"width": 390, "height": 800})
        assert await visitor.overflow_px() <= 0


async def test_what_is_not_there_is_said_on_a_page_like_the_others(visitor: Visitor) -> None:
    await visitor.go("/no/such/page")
    visitor.expect("console: Failed to load resource: the server responded with a status of 404")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("404")
    assert not await visitor.accessibility_faults()


async def test_the_first_visit_says_what_to_do(browser: Browser, service: Service) -> None:
    async with browsers.visiting(browser, service.ops_url) as visitor:
        await visitor.go("/")
        await expect(visitor.page.get_by_role("heading", name="Nothing has come in yet")).to_be_visible()
        assert not await visitor.accessibility_faults()
        for path, label in MENU:
            await visitor.go(path)
            await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
            assert not await visitor.page.get_by_role("alert").count(), label


async def test_without_postgresql_every_page_says_so_and_shows_what_it_knows(
    browser: Browser, make_settings: Callable[..., Settings], database: str
) -> None:
    settings = make_settings(database_url=NOWHERE)
    async with (
        services.running(settings, sql_url=database) as alone,
        browsers.visiting(browser, alone.ops_url) as visitor,
    ):
        page = visitor.page
        assert (await alone.post("/callback/huawei/report", "smsMsgId=one&status=DELIVRD"))[0] == 200
        for path, label in MENU:
            answer = await page.goto(alone.ops_url + path)
            assert answer is not None
            assert answer.status in (200, 503), label
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            if label in ("Overview", "Messages", "Overdue", "Rejected", "Replies"):
                await expect(page.locator(".problem:visible").first).to_contain_text("PostgreSQL")
        visitor.faults = [one for one in visitor.faults if "status of 503" not in one]
        await visitor.go("/live")
        await expect(page.locator("#live")).to_contain_text("one")
        await visitor.go("/")
        await expect(page.get_by_role("main")).to_contain_text("1 waiting")
        assert not await visitor.accessibility_faults()
