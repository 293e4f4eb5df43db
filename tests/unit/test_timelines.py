"""An old primary is known by its timeline, through a restart too, and an operator can say that it is meant."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.waiting import DEADLINE_S, eventually

from receiver.store import connecting, host_watch, timelines
from receiver.store.host_watch import HostWatch
from receiver.store.standing import Standing
from receiver.store.timelines import FILE_NAME, Timelines

A, B = "postgresql://u:secret@a:5432/sms", "postgresql://u:secret@b:5432/sms"


def primary(timeline: int | None, system: str | None = "7") -> Standing:
    return Standing(standby=False, read_only=False, pid=11, system=system, timeline=timeline)


def test_a_server_below_the_highest_timeline_is_refused() -> None:
    known = Timelines()
    assert known.judge(A, primary(1)) is None
    assert known.judge(B, primary(2)) is None
    assert (known.is_old(primary(1)), known.is_old(primary(2))) == (True, False)
    refused = known.judge(A, primary(1))
    assert refused is not None
    assert "it writes timeline 1, and timeline 2 has been seen" in refused
    assert known.stale == 1
    assert known.judge(A, Standing(standby=True, read_only=True, pid=11, system="7")) is None
    assert known.stale == 0


@pytest.mark.parametrize("found", [primary(1, system="8"), primary(None, system=None)])
def test_another_system_and_one_that_tells_nothing_cannot_be_compared(found: Standing) -> None:
    known = Timelines({"7": 5})
    assert known.judge(A, found) is None
    assert not known.is_old(found)


def test_the_file_has_the_highest_of_all_processes(tmp_path: Path) -> None:
    assert timelines.load(tmp_path) is None
    timelines.save(tmp_path, {"7": 3, "8": 2})
    timelines.save(tmp_path, {"7": 2, "9": 4})
    assert timelines.load(tmp_path) == {"7": 3, "8": 2, "9": 4}
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"7": "x"}'])
def test_a_file_that_cannot_be_read_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert timelines.load(tmp_path) == {}


async def test_processes_share_it_and_an_operator_may_remove_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("receiver.store.host_watch._EVERY_S", 0.02)
    one, other = Timelines(), Timelines()
    watches = [asyncio.create_task(HostWatch(A, known, tmp_path, looks=False).run()) for known in (one, other)]
    try:
        one.judge(A, primary(1))
        await asyncio.sleep(0.1)
        assert not (tmp_path / FILE_NAME).exists(), "nothing is below the first timeline"
        one.judge(A, primary(2))
        await eventually(lambda: other.is_old(primary(1)))
        assert Timelines(timelines.load(tmp_path)).is_old(primary(1))
        (tmp_path / FILE_NAME).unlink()
        await eventually(lambda: not one.is_old(primary(1)) and not other.is_old(primary(1)))
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.wait(watches)


async def test_a_file_that_is_removed_during_the_first_look_is_missed_by_nobody(tmp_path: Path, monkeypatch) -> None:
    """Right after a start, at which it was read: a host that hangs takes seconds."""
    looking, removed = asyncio.Event(), asyncio.Event()

    async def connect(_url: str, **_options: object) -> None:
        looking.set()
        await removed.wait()
        raise OSError

    monkeypatch.setattr(connecting, "connect", connect)
    monkeypatch.setattr("receiver.store.host_watch._EVERY_S", 0.02)
    timelines.save(tmp_path, {"7": 3})
    known = Timelines(timelines.load(tmp_path))
    watch = asyncio.create_task(HostWatch(A, known, tmp_path, looks=True).run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await looking.wait()
        (tmp_path / FILE_NAME).unlink()
        removed.set()
        await eventually(lambda: not known.is_old(primary(2)))
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_a_removed_file_counts_for_a_process_that_finds_a_new_one(tmp_path: Path, monkeypatch) -> None:
    """Another process forgets first, and writes to the primary that the operator means."""
    monkeypatch.setattr("receiver.store.host_watch._EVERY_S", 0.02)
    timelines.save(tmp_path, {"7": 3, "8": 5})
    known = Timelines()
    watch = asyncio.create_task(HostWatch(A, known, tmp_path, looks=False).run())
    try:
        await eventually(lambda: known.is_old(primary(2)))
        (tmp_path / FILE_NAME).write_bytes(b"")
        await asyncio.sleep(0.1)
        assert known.is_old(primary(2)), "a file that cannot be read says nothing"
        timelines.save(tmp_path, {"7": 2})
        await eventually(lambda: not known.is_old(primary(2)))
        assert known.is_old(primary(1))
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_what_the_disk_did_not_take_is_written_later_and_told_once(tmp_path: Path, monkeypatch) -> None:
    """After a restart the service would write to the old primary again."""
    monkeypatch.setattr("receiver.store.host_watch._EVERY_S", 0.02)
    folder, known, looks = tmp_path / "full", Timelines(), []
    load = timelines.load
    monkeypatch.setattr(timelines, "load", lambda folder: looks.append(folder) or load(folder))
    with capture_logs() as logs:
        monkeypatch.setattr("receiver.store.host_watch.log", host_watch.get_logger())
        watch = asyncio.create_task(HostWatch(A, known, folder, looks=False).run())
        try:
            known.judge(A, primary(2))
            await eventually(lambda: len(looks) > 9)
            folder.mkdir()
            await eventually(lambda: load(folder) == {"7": 2})
        finally:
            watch.cancel()
            await asyncio.wait([watch])
    assert [line["event"] for line in logs] == ["database.timeline_not_kept"]
