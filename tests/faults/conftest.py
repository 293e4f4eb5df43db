"""One PostgreSQL for all faults, and a place for their figures: the suite prints them when it ends."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from support import cluster as clusters
from support import rig as rigs
from support.cluster import Cluster
from support.rig import Loaded

_LINE = "what the load client saw"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    told = {report.nodeid: [line for name, line in report.user_properties if name == _LINE] for report in reports}
    if any(told.values()):
        terminalreporter.section(_LINE)
    for nodeid, lines in sorted(told.items()):
        if lines:
            terminalreporter.write_line("\n    ".join((nodeid, *lines)))


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Add a line to what is printed at the end, under the test's name."""
    return partial(record_property, _LINE)


@pytest.fixture(scope="session")
async def fragile(open_folder: Path) -> AsyncIterator[Cluster]:
    """The PostgreSQL that is killed, starved and cut off; each test has a database of its own in it."""
    async with clusters.running(open_folder / "fragile") as cluster:
        yield cluster


@pytest.fixture
def loaded(fragile: Cluster, open_folder: Path, say: Callable[[str], None]) -> Loaded:
    """A service under load, with whatever settings the test wants."""
    return partial(rigs.loaded, fragile, open_folder, say=say)
