"""The pages in a real browser: every one works, tells no lies about itself, and is kept as a picture in docs/."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from playwright.async_api import Browser
from support import browser as browsers
from support import service as services
from support import week
from support.service import Service

from receiver.settings import Settings


@pytest.fixture(scope="module")
async def service(shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A receiver with eight days of traffic behind it."""
    settings = Settings(
        database_url=shared_database, data_dir=tmp_path_factory.mktemp("data"), host="127.0.0.1", port=0, ops_port=0
    )
    connection = await asyncpg.connect(shared_database)
    await week.fill(connection, datetime.now(UTC).replace(microsecond=0))
    await connection.close()
    async with services.running(settings) as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/codes", "/live"])
async def test_a_page_is_accessible_and_has_no_faults(
    browser: Browser, service: Service, path: str, scheme: str
) -> None:
    async with browsers.visiting(browser, service.ops_url, color_scheme=scheme) as visitor:
        await visitor.go(path)
        assert not await visitor.accessibility_faults()
