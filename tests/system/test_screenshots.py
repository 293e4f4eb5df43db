"""The pictures of docs/images: the same pages are seen by every run, and kept by `make screenshots`."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser
from support import browser as browsers
from support import week
from support.browser import Visitor
from support.service import Service

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
WINDOW: Final = {"width": 1280, "height": 800}
TELEPHONE: Final = {"width": 390, "height": 800}
MOST_BYTES: Final = 120_000


async def message_in_parts(visitor: Visitor, stand: Service) -> None:
    (row,) = await stand.rows(
        "SELECT message_id FROM sms.message WHERE provider = 'huawei' AND segments > 1 AND submitted_at IS NOT NULL"
        " ORDER BY status = 'undeliverable' DESC, segments_reported DESC, segments DESC, first_received_at DESC LIMIT 1"
    )
    await visitor.go(f"/messages/huawei/{row['message_id']}")


async def rejected(visitor: Visitor, stand: Service) -> None:
    (row,) = await stand.rows(
        "SELECT rejected_id FROM sms.rejected_payload"
        " ORDER BY provider = 'tencent' DESC, length(body) > 60 DESC, received_at DESC LIMIT 1"
    )
    await visitor.go(f"/rejected/{row['rejected_id']}")


async def live(visitor: Visitor, stand: Service) -> None:
    await week.push(stand, datetime.now(UTC) + timedelta(seconds=10))
    await visitor.go("/live")
    await visitor.page.locator("#state", has_text="Live.").wait_for()


def page(path: str) -> Callable[[Visitor, Service], Awaitable[None]]:
    return lambda visitor, _: visitor.go(path)


PICTURES: Final[dict[str, tuple[Callable[[Visitor, Service], Awaitable[None]], dict[str, Any]]]] = {
    "overview": (page("/?since=7d"), {}),
    "overview-dark": (page("/?since=7d"), {"color_scheme": "dark"}),
    "overview-narrow": (page("/"), {"viewport": TELEPHONE}),
    "messages": (page("/messages?status=failed"), {}),
    "message": (message_in_parts, {}),
    "live": (live, {}),
    "rejected": (rejected, {}),
}


@pytest.mark.parametrize("name", PICTURES)
async def test_a_page_looks_as_its_picture(browser: Browser, stand: Service, name: str) -> None:
    go, context = PICTURES[name]
    async with browsers.visiting(browser, stand.ops_url, **({"viewport": WINDOW} | context)) as visitor:
        await go(visitor, stand)
        picture = await visitor.page.screenshot(scale="css", animations="disabled")
    assert len(picture) < MOST_BYTES
    if os.environ.get("UPDATE_SCREENSHOTS"):
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / f"{name}.png").write_bytes(picture)


def test_every_picture_is_kept_and_no_other() -> None:
    assert {file.stem for file in IMAGES.glob("*")} == set(PICTURES)
