"""The ops listener under attack: odd URLs, bodies without end, and what an error tells of the inside."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from support import service as services
from support.capture import captured_log
from support.service import Service
from support.shared import shared_service
from support.visitor import Visitor, visiting

from receiver.pages import routes
from receiver.settings import Settings

TOKEN = "an-ops.token-of-some-length"


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, ops_token=TOKEN) as service:
        yield service


@pytest.fixture
async def visitor(service: Service) -> AsyncIterator[Visitor]:
    async with visiting(service.ops_url) as visitor:
        yield visitor


async def test_a_body_that_is_large_or_never_ends_is_not_waited_for(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(ops_token=TOKEN, body_timeout_s=0.2)
    async with services.running(settings) as service, visiting(service.ops_url) as visitor:
        form = await visitor.get("/login")
        large = await visitor.post("/login", {"csrf": form.csrf, "token": "x" * 70_000})
        assert large.status == 413
        reading, writing = await asyncio.open_connection(*service.ops_url.removeprefix("http://").split(":"))
        head = "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        writing.write(f"{head}Accept: text/html\r\nContent-Length: 50\r\n\r\ncsrf=".encode())
        async with asyncio.timeout(10):
            assert b" 408 " in await reading.readline()
        writing.close()


async def test_a_page_that_fails_tells_nothing_of_why(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: web.Request) -> web.Response:
        raise RuntimeError("inner matter")

    monkeypatch.setattr(routes, "ROUTES", (*routes.ROUTES, ("GET", "/fail/{number}", fail)))
    with captured_log() as log:
        async with services.running(make_settings()) as service, visiting(service.ops_url) as visitor:
            page = await visitor.get("/fail/+8613800000001")
    assert page.status == 500
    assert "inner matter" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    (line,) = log.events("ops.page_failed")
    assert line["path"] == "/fail/{number}"


NO_FILES = ["..", "../routes.py", "..%2froutes.py", "%2e%2e%2froutes.py", "%00", "style.css%00", "a" * 4_000, "", "%5c"]


async def test_static_files_are_those_alone_and_no_path_is_tried(visitor: Visitor) -> None:
    """They are open before the log-in; a name too long for the disk must not be an error of ours."""
    for name in NO_FILES:
        page = await visitor.get(f"/static/{name}")
        assert page.status in {303, 404}, name
        assert page.headers["Cache-Control"] == "no-store"
    for name in ("style.css", "pages.js", "icon.svg"):
        page = await visitor.get(f"/static/{name}")
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-cache")
        again = await visitor.get(f"/static/{name}", If_None_Match=page.headers["Etag"])
        assert again.status == 304


async def test_no_odd_text_in_a_url_is_an_error_of_ours(visitor: Visitor) -> None:
    await visitor.log_in(TOKEN)
    for odd in ("%00", "86138%00", "%FF", "%ED%A0%80", "9" * 30, "0001-01-01T00:00:00%2B14:00", "%C2%B2", "%25", "[]"):
        for method, path, _ in routes.ROUTES:
            if method != "GET":
                continue
            fields = "&".join(f"{name}={odd}" for name in ("q", "number", "since", "until", "older", "provider", "at"))
            page = await visitor.get(f"{re.sub(r'{[^}]+}', odd, path)}?{fields}")
            assert page.status < 500, (path, odd, page.text)
