"""One PostgreSQL for all faults."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from support import cluster as clusters
from support import rig as rigs
from support.cluster import Cluster
from support.rig import Loaded


@pytest.fixture(scope="session")
async def fragile(open_folder: Path) -> AsyncIterator[Cluster]:
    """The PostgreSQL that is killed, starved and cut off; each test has a database of its own in it."""
    async with clusters.running(open_folder / "fragile") as cluster:
        yield cluster


@pytest.fixture
def loaded(fragile: Cluster, open_folder: Path, say: Callable[[str], None]) -> Loaded:
    """A service under load, with whatever settings the test wants."""
    return partial(rigs.loaded, fragile, open_folder, say=say)
