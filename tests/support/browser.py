"""A real browser: Debian's Chromium, driven by Playwright, that lets no page get away with an error."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from support import debian

_PACKAGES: Final = ("chromium", "fonts-dejavu-core", "fonts-wqy-microhei")
_RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
_WAIT_MS: Final = 20_000
_FONTS: Final = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir>
<alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
<alias><family>ui-monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias></fontconfig>
"""


def program() -> tuple[str, dict[str, str]]:
    """Path of Chromium, the machine's own or Debian's, and its environment. Raises NotAvailableError."""
    if installed := shutil.which("chromium"):
        return installed, dict(os.environ)
    folder = debian.fetched("chromium") or debian.unpacked("chromium", debian.missing_packages(*_PACKAGES))
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS.format(folder=folder))
    environment = {"LD_LIBRARY_PATH": debian.library_path(folder), "FONTCONFIG_FILE": str(fonts)}
    return str(folder / "usr/lib/chromium/chromium"), os.environ | environment


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    """Chromium without a window. Raises NotAvailableError."""
    path, environment = program()
    async with async_playwright() as playwright:
        # Its own sandbox needs rights that a container's root does not have; it only ever sees our pages.
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"], env=environment)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """A page in a browser. `faults` are errors of the console, refused contents and requests to other places."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_WAIT_MS)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("request", self._asked)

    async def go(self, path: str) -> None:
        """Open a page of the origin."""
        await self.page.goto(self.origin + path)

    async def overflow_px(self) -> int:
        """By how much the page is wider than the window."""
        width: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    def expect(self, beginning: str) -> None:
        """Take note of a fault that belongs to the test. AssertionError where it is not there."""
        expected = [fault for fault in self.faults if fault.startswith(beginning)]
        assert expected, self.faults
        self.faults = [fault for fault in self.faults if fault not in expected]

    async def accessibility_faults(self) -> list[str]:
        """What axe-core finds on the page as it is now."""
        found: dict[str, Any] = (await Axe().run(self.page, options=_RULES)).response
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"outside: {request.url}")


@asynccontextmanager
async def visiting(browser: Browser, origin: str, **context: Any) -> AsyncIterator[Visitor]:
    """A fresh visitor without cookies; `context` are Playwright's options (`color_scheme`, `viewport`, …)."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", **context}
    one = await browser.new_context(**options)
    try:
        visitor = Visitor(await one.new_page(), origin)
        yield visitor
        assert not visitor.faults, visitor.faults
    finally:
        await one.close()
