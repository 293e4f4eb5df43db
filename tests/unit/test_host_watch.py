"""What the service says of the second machine, and when."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.virtual_time import in_virtual_time
from support.waiting import eventually

from receiver.store import connecting, host_watch, timelines
from receiver.store.host_watch import HostWatch, Primary
from receiver.store.standing import Standing
from receiver.store.timelines import Timelines


def primary(host: str = "a", *, timeline: int | None = 2, day: int = 1, replicated: bool = False) -> Primary:
    """Started on that day."""
    started = datetime(2026, 11, day, tzinfo=UTC)
    found = Standing(standby=False, read_only=False, pid=1, system="7", timeline=timeline, started=started)
    return Primary(host, found, replicated)


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
            watch._tell([] if one is None else [primary(replicated=one)])
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
    found = await host.look(Timelines())
    assert found is not None
    assert found.replicated


@pytest.mark.parametrize(
    ("found", "stale"),
    [
        ([primary("a"), primary("b", day=2)], 1),  # two standbys of one primary, both promoted
        ([primary("a", timeline=None), primary("b", timeline=None, day=2)], 1),
        ([primary("a"), primary("b")], 0),  # two poolers before one
        ([primary("a", timeline=1), primary("b", timeline=2, day=2)], 0),  # a failover, seen as it happens
    ],
)
def test_two_that_were_promoted_alike_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[Primary], stale: int
) -> None:
    watch = HostWatch("postgresql://a,b/sms", Timelines(), tmp_path, looks=False)
    with capture_logs() as logs:
        monkeypatch.setattr(host_watch, "log", host_watch.get_logger())
        watch._tell(found)
        watch._tell(found)
        assert watch.stale == stale
        watch._tell([found[0]])
    assert watch.stale == 0
    assert [line["others"] for line in logs] == [["b"]] * stale


async def test_the_hosts_are_looked_at_though_the_disk_of_the_file_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion would never have been seen, nor the loss of the second machine."""
    monkeypatch.setattr(host_watch, "_EVERY_S", 0.02)
    monkeypatch.setattr(host_watch, "_DEADLINE_S", 0.02)
    answers = threading.Event()
    looks: list[object] = []
    loads: list[Path] = []
    monkeypatch.setattr(HostWatch, "_tell", lambda _watch, found: looks.append(found))

    def load(folder: Path) -> dict[str, int]:
        loads.append(folder)
        answers.wait()
        return {}

    monkeypatch.setattr(timelines, "load", load)
    watch = asyncio.create_task(HostWatch("postgresql://a/sms", Timelines(), tmp_path, looks=False).run())
    try:
        await eventually(lambda: len(looks) > 3)
        assert len(loads) == 1, "no thread is taken for each look"
        answers.set()
        await eventually(lambda: len(loads) > 3)
    finally:
        answers.set()
        watch.cancel()
        await asyncio.wait([watch])
