"""A browser at the ops listener, as far as HTTP goes: its headers, its cookies, the forms that it sends."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True)
class Page:
    """`location` is where a redirect leads."""

    status: int
    headers: dict[str, str]
    text: str
    cookies: list[str]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def csrf(self) -> str:
        """The token of the page's first form; empty without one."""
        found = _CSRF.search(self.text)
        return found[1] if found else ""


class Visitor:
    """Follows no redirect by itself."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self.url = url
        self.client = client

    async def get(self, path: str, **headers: str) -> Page:
        return await self.ask("GET", path, headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        """A form of a page of this listener; the token for it is one of the fields."""
        origin = f"http://{urlsplit(self.url).netloc}"
        return await self.ask("POST", path, {"Origin": origin} | headers, data=fields)

    async def log_in(self, token: str, path: str = "/login", **headers: str) -> Page:
        """By the form at this path."""
        form = await self.get(path, **headers)
        wanted = re.search(r'name="next" value="([^"]*)"', form.text)
        fields = {"csrf": form.csrf, "token": token, "next": html.unescape(wanted[1]) if wanted else ""}
        return await self.post("/login", fields, **headers)

    async def ask(self, method: str, path: str, headers: dict[str, str], data: object = None) -> Page:
        named = NAVIGATION | {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url + path, encoded=True)
        async with self.client.request(method, url, headers=named, data=data, allow_redirects=False) as answer:
            text = await answer.text(errors="replace")
            return Page(answer.status, dict(answer.headers), text, answer.headers.getall("Set-Cookie", []))


@asynccontextmanager
async def visiting(url: str) -> AsyncIterator[Visitor]:
    """A browser with no cookies yet."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield Visitor(url, client)
