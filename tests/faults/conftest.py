"""One PostgreSQL for all faults, and a place for their figures: the suite prints them when it ends."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from support import cluster as clusters
from support import rig as rigs
from support.cluster import Cluster
from support.rig import Loaded

_LINES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("what the load client saw")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Add a line to what is printed at the end, under the test's name."""
    lines = request.config.stash.setdefault(_LINES, [])
    lines.append(request.node.nodeid)

    def add(line: str) -> None:
        lines.append(f"    {line}")

    return add


@pytest.fixture(scope="session")
async def fragile(open_folder: Path) -> AsyncIterator[Cluster]:
    """The PostgreSQL that is killed, starved and cut off; each test has a database of its own in it."""
    async with clusters.running(open_folder / "fragile") as cluster:
        yield cluster


@pytest.fixture
def loaded(fragile: Cluster, open_folder: Path, say: Callable[[str], None]) -> Loaded:
    """A service under load, with whatever settings the test wants."""
    return partial(rigs.loaded, fragile, open_folder, say=say)
