"""What the tests of the write path stand on: a server, a spool and counters of their own."""

import pytest
from support.fake_postgres import FakePostgres
from support.fake_spool import FakeSpool

from receiver.telemetry.metrics import Metrics, build


@pytest.fixture
def server() -> FakePostgres:
    return FakePostgres()


@pytest.fixture
def spool() -> FakeSpool:
    return FakeSpool()


@pytest.fixture
def metrics() -> Metrics:
    return build("test")
