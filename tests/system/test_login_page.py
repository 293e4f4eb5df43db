"""The log-in in a real browser, and what pages of another site get out of the listener."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page
from support import browser as browsers
from support import service as services
from support.service import Service

from receiver.settings import Settings

TOKEN = "an-ops.token-of-some-length"
WITHIN_S = 20.0


@pytest.fixture
async def service(make_settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with services.running(make_settings(ops_token=TOKEN)) as running:
        yield running


async def log_in(page: Page) -> None:
    await page.get_by_label("Token").fill(TOKEN)
    await page.get_by_role("button", name="Log in").click()


@asynccontextmanager
async def another_site(html: str) -> AsyncIterator[str]:
    """The URL of a page of another site: `localhost` is none of `127.0.0.1`."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_people_log_in_and_out(browser: Browser, service: Service, scheme: str) -> None:
    async with browsers.visiting(browser, service.ops_url, color_scheme=scheme) as visitor:
        page = visitor.page
        await visitor.go("/codes?q=E200027")
        assert page.url.endswith("/login?next=/codes%3Fq%3DE200027")
        assert not await visitor.accessibility_faults()
        await log_in(page)
        await page.wait_for_url("**/codes?q=E200027")
        assert not await visitor.accessibility_faults()
        await page.get_by_role("button", name="Log out").click()
        await page.wait_for_url("**/login")
        await visitor.go("/codes")
        assert "/login" in page.url
        await page.go_back()
        assert "E200027" not in await page.content()


async def test_a_link_from_elsewhere_leads_to_its_page(browser: Browser, service: Service) -> None:
    """As those of Grafana: a browser sends no `SameSite=Strict` cookie with them."""
    async with browsers.visiting(browser, service.ops_url) as visitor:
        await visitor.go("/login")
        await log_in(visitor.page)
        await visitor.page.wait_for_url("**/")
        visitor.faults.clear()
        async with another_site(f'<a href="{service.ops_url}/codes?q=E200027">message</a>') as url:
            await visitor.page.goto(url)
            await visitor.page.get_by_role("link", name="message").click()
            await visitor.page.wait_for_url(f"{service.ops_url}/codes?q=E200027", timeout=WITHIN_S * 1_000)
        visitor.faults.clear()  # it was at another place


async def test_another_site_reads_and_changes_nothing(browser: Browser, service: Service) -> None:
    html = f"""<title>0</title><iframe name=frame src="{service.ops_url}/codes"></iframe>
    <form id=f method=post action="{service.ops_url}/logout" target=_blank><input name=csrf value=x></form>
    <script>
      const told = [], here = "{service.ops_url}";
      const tell = one => {{ told.push(one); if (told.length === 5) document.title = told.sort().join(" "); }};
      fetch(here + "/codes", {{credentials: "include"}}).then(() => tell("fetch:read"), () => tell("fetch:no"));
      const blindly = {{credentials: "include", mode: "no-cors"}};
      fetch(here + "/codes", blindly).then(() => tell("opaque:sent"), () => tell("opaque:no"));
      const stream = new EventSource(here + "/live/events", {{withCredentials: true}});
      stream.onopen = () => tell("stream:read"); stream.onerror = () => {{ stream.close(); tell("stream:no"); }};
      const script = document.createElement("script"); script.src = here + "/static/pages.js";
      script.onload = () => tell("script:read"); script.onerror = () => tell("script:no"); document.head.append(script);
      const image = new Image(); image.onload = () => tell("image:read"); image.onerror = () => tell("image:no");
      image.src = here + "/static/icon.svg";
    </script>"""
    async with browsers.visiting(browser, service.ops_url) as visitor:
        await visitor.go("/login")
        await log_in(visitor.page)
        await visitor.page.wait_for_url("**/")
        async with another_site(html) as url:
            other = await visitor.page.context.new_page()
            await other.goto(url)
            async with asyncio.timeout(WITHIN_S):
                while (told := await other.title()) == "0":
                    await asyncio.sleep(0.1)
            assert told == "fetch:no image:no opaque:no script:no stream:no"
            framed = other.frame("frame")
            assert framed is not None
            assert "E200027" not in await framed.content()
            async with visitor.page.context.expect_page() as opened:
                await other.evaluate("document.getElementById('f').submit()")
            posted = await opened.value
            await posted.wait_for_load_state()
            assert "nothing was changed" in await posted.content() or "another site" in await posted.content()
        visitor.faults.clear()  # of `/`, which is asked for its icon only
        await visitor.go("/codes")
        assert "Log out" in await visitor.page.content()
