"""One PostgreSQL for all faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from support import cluster as clusters
from support import rig as rigs
from support.cluster import Cluster
from support.rig import Loaded
from support.standby import standby_of
from support.two_hosts import Line, Pair


@pytest.fixture(scope="session")
async def fragile(open_folder: Path) -> AsyncIterator[Cluster]:
    """The PostgreSQL that is killed, starved and cut off; each test has a database of its own in it."""
    async with clusters.running(open_folder / "fragile") as cluster:
        yield cluster


@pytest.fixture(scope="module")
async def standby(fragile: Cluster, open_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A hot standby of it, to read from."""
    async with standby_of(fragile, open_folder / f"{request.module.__name__}_standby") as standby:
        yield standby


@pytest.fixture
def loaded(fragile: Cluster, open_folder: Path, say: Callable[[str], None]) -> Loaded:
    """A service under load, with whatever settings the test wants."""
    return partial(rigs.loaded, fragile, open_folder, say=say)


@pytest.fixture(scope="module")
async def line(open_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A PostgreSQL that may be lost: its standby takes its place for the tests that follow in the file."""
    folder = open_folder / request.module.__name__
    async with clusters.running(folder / "first") as first, AsyncExitStack() as stack:
        yield Line(first, folder, stack, await first.new_database())


@pytest.fixture
async def pair(line: Line) -> Pair:
    return await line.pair()
