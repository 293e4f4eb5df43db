"""What the service says of the second machine, and when."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.virtual_time import in_virtual_time

from receiver.store import connecting, host_watch
from receiver.store.host_watch import HostWatch
from receiver.store.timelines import Timelines

LOST, FOUND = "database.sync_replica_lost", "database.sync_replica_found"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([True, None, False], [LOST]),  # a failover: no primary for a while, and then one alone
        ([True, None, True], []),
        ([False, None, True], [FOUND]),
        ([None, False, False], []),  # it never had one
    ],
)
def test_a_second_machine_that_is_lost_with_the_primary_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[bool | None], said: list[str]
) -> None:
    watch = HostWatch("postgresql://a,b/sms", Timelines(), tmp_path, looks=False)
    with capture_logs() as logs:
        monkeypatch.setattr(host_watch, "log", host_watch.get_logger())
        for one in seen:
            watch._tell([None, one])
    assert [line["event"] for line in logs] == said
    assert watch.replicated is seen[-1]


class FarAway:
    """A primary with a standby, from which each answer takes as long."""

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None:
        pass

    async def fetch(self, query: str) -> list[tuple[Any, ...]]:
        await asyncio.sleep(self._answer_s)
        return [(False, False, 11, "7", 1)] if "system" in query else [(True, 1)]


@in_virtual_time
async def test_a_host_far_away_is_looked_at_though_it_takes_long_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_url: str, **_options: object) -> FarAway:
        await asyncio.sleep(1.5)
        return FarAway(0.8)

    monkeypatch.setattr(connecting, "connect", connect)
    (host,) = HostWatch("postgresql://a/sms", Timelines(), tmp_path, looks=True)._hosts
    assert await host.look(Timelines()) is True
