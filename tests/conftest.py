"""A real PostgreSQL for all tests, and for each its own database, copied from a migrated template."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import settings as hypothesis_settings
from support import citus as citus_support
from support import embedded as embedded_support
from support import postgresql, preloaded, workers
from support import service as services
from support.citus import Citus
from support.databases import (
    NODES,
    Copies,
    administrate,
    create_database,
    drop_database,
    fill_template,
    migrated_copy,
    with_database,
)
from support.preloaded import Commands
from support.service import Service

from receiver import embedded
from receiver.reading.reader import Limits, Reader
from receiver.settings import PREFIX, Settings

hypothesis_settings.register_profile("suite", deadline=None, print_blob=True, max_examples=30)
hypothesis_settings.load_profile("suite")

# A shell without job control starts what runs in its background with SIGINT ignored, and nohup its command with SIGHUP
# ignored: every process that the tests start inherits that, and none of them could be ended so.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_numbers = count()
_SEEN = "what the load client saw"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a quarter of a worker's time is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another PostgreSQL, only what asks it is worth a run."""
    if postgresql.chosen():
        apart = [item for item in items if "cluster" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if item not in set(apart)]
    if hasattr(config, "workerinput"):
        items[:] = workers.in_order(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of tests with load."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    told = {report.nodeid: [line for name, line in report.user_properties if name == _SEEN] for report in reports}
    if any(told.values()):
        terminalreporter.section(_SEEN)
    for nodeid, lines in sorted(told.items()):
        if lines:
            terminalreporter.write_line("\n    ".join((nodeid, *lines)))


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Add a line to what is printed at the end, under the test's name."""
    return partial(record_property, _SEEN)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    return workers.Scheduler(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    return workers.sendable((yield))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    with embedded_support.open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def cluster(open_folder: Path) -> AsyncIterator[str]:
    """URL of a running PostgreSQL, the embedded one or TEST_POSTGRESQL_BIN; each worker of pytest-xdist has its own."""
    if citus_support.ALL:
        async with citus_support.running(open_folder / "cluster", citus_support.chosen()) as nodes:
            url = nodes.socket_url("postgres")
            NODES[url] = nodes
            yield url
        return
    if binaries := postgresql.chosen():
        async with postgresql.running(open_folder / "cluster", binaries) as url:
            yield url
        return
    async with embedded.running(open_folder / "cluster") as server:
        # What survives a crash of the machine is no subject here; tests/faults has a cluster that does.
        await administrate(
            server.url,
            *(f"ALTER SYSTEM SET {name} = off" for name in ("fsync", "full_page_writes")),
            "SELECT pg_reload_conf()",
        )
        yield server.url


@pytest.fixture(scope="session")
async def citus(open_folder: Path) -> AsyncIterator[Citus]:
    """A coordinator and two workers; skips where no installation with Citus is named."""
    async with citus_support.running(open_folder / "citus", citus_support.chosen()) as running:
        yield running


@pytest.fixture(scope="session")
async def spread_template(citus: Citus) -> Citus:
    """The same, with a template that is distributed."""
    await citus.make_distributed_template(partial(fill_template, shards=citus_support.SHARDS))
    return citus


@pytest.fixture
async def spread(spread_template: Citus) -> AsyncIterator[str]:
    """URL of a distributed database of the test's own."""
    name = await spread_template.new_database()
    yield spread_template.socket_url(name)
    await spread_template.drop_database(name)


@pytest.fixture(scope="session")
async def template(cluster: str) -> str:
    """Name of a database with the schema and the code tables."""
    await create_database(cluster, "template_sms")
    await fill_template(with_database(cluster, "template_sms"), citus_support.SHARDS if citus_support.ALL else None)
    return "template_sms"


@pytest.fixture
async def empty_database(cluster: str) -> AsyncIterator[str]:
    """URL of a database with nothing in it."""
    name = f"empty_{next(_numbers)}"
    await create_database(cluster, name)
    yield with_database(cluster, name)
    await drop_database(cluster, name)


@pytest.fixture(scope="session")
async def copies(cluster: str, template: str) -> AsyncIterator[Copies]:
    copies = Copies(cluster, template)
    yield copies
    await asyncio.to_thread(copies.close)


@pytest.fixture
async def database(cluster: str, copies: Copies) -> AsyncIterator[str]:
    """URL of a migrated database of the test's own."""
    name = await copies.take()
    yield with_database(cluster, name)
    copies.drop(name)


@pytest.fixture(scope="module")
async def shared_database(cluster: str, template: str) -> AsyncIterator[str]:
    """URL of a migrated database for all tests of a file that do not disturb each other."""
    async with migrated_copy(cluster, template) as url:
        yield url


@pytest.fixture
async def reader(shared_database: str) -> AsyncIterator[Reader]:
    """As the pages ask, of the database that a file's tests share."""
    reader = Reader(shared_database, "RECEIVER_DATABASE_URL", Limits())
    yield reader
    await reader.close()


@pytest.fixture
async def sql(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    connection.terminate()


@pytest.fixture
def make_settings(database: str, tmp_path: Path) -> Callable[..., Settings]:
    """Settings for a service on free ports, with whatever the test wants otherwise."""

    def make(**changes: Any) -> Settings:
        given = {
            "database_url": database,
            "data_dir": tmp_path / "data",
            "host": "127.0.0.1",
            "port": 0,
            "ops_port": 0,
            "drain_delay_s": 0.0,
        }
        return Settings(_env_file=None, **(given | changes))

    return make


@pytest.fixture
async def service(make_settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with services.running(make_settings()) as running:
        yield running


@pytest.fixture(scope="session")
async def commands() -> AsyncIterator[Commands]:
    """Runs of `receiver`, one at a time."""
    async with preloaded.commands() as ready:
        yield ready
