"""Tests beside other people's programs: what cannot be had here is skipped, with the reason."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser
from support import browser as browsers
from support import cluster as clusters
from support import debian, week
from support import service as services
from support.cluster import Cluster
from support.databases import connected, migrated_copy
from support.service import Service
from support.waiting import eventually

from receiver.settings import Settings


@pytest.fixture(scope="session")
def program() -> Callable[..., list[str]]:
    """How to call a program of Debian's packages; the test is skipped where there is no way to it."""

    def command(name: str, *packages: str) -> list[str]:
        try:
            return debian.command(name, *packages)
        except debian.NotAvailableError as error:
            pytest.skip(str(error))

    return command


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    try:
        async with browsers.running() as browser:
            yield browser
    except debian.NotAvailableError as error:
        pytest.skip(f"a browser is needed: {error}")


@pytest.fixture(scope="session")
async def reachable(open_folder: Path) -> AsyncIterator[Cluster]:
    """A PostgreSQL that takes connections by TCP, so that any account can be its client."""
    async with clusters.running(open_folder / "reachable") as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def stand(cluster: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A receiver with eight days of traffic behind it, for tests that only look, or add something."""
    async with migrated_copy(cluster, template) as database:
        async with connected(database) as connection:
            await week.fill(connection, datetime.now(UTC).replace(microsecond=0))
        data_dir = tmp_path_factory.mktemp("stand")
        settings = Settings(database_url=database, data_dir=data_dir, host="127.0.0.1", port=0, ops_port=0)
        async with services.running(settings) as service:
            await eventually(lambda: _knows_its_partitions(service))
            yield service


async def _knows_its_partitions(service: Service) -> bool:
    async with service.client.get(f"{service.ops_url}/readyz") as response:
        return (await response.json())["partition_days_left"] is not None
