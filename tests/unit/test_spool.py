"""The spool by itself: callbacks on a real disk, in SQLite, and a thread that nothing may end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.capture import captured_log
from support.reports import callback
from support.waiting import eventually

from receiver.inbound import Inbound
from receiver.store import spool as spooling
from receiver.store import spool_file
from receiver.store.spool import Spool, SpoolError
from receiver.store.spool_errors import SpoolFull, SpoolInUse, SpoolUnusable
from receiver.store.spool_file import Depth, SpoolFile
from receiver.store.spool_open import FILE_NAME

SMALL = 128 * 1024
EVERYTHING = Inbound(
    path="tencent/submission",
    body=b"\x00\xff body",
    content_type="application/json",
    received_at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    remote_addr="2001:db8::1",
    request_id="0123456789abcdef",
    correlation="ünïcode",
    skip_parsing_reason="not signed by the platform",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "spool"


@pytest.fixture
async def spool(folder: Path) -> AsyncIterator[Spool]:
    opened = Spool(folder, 1 << 20)
    yield opened
    await opened.close()


@pytest.fixture
def file(folder: Path) -> Iterator[SpoolFile]:
    opened = SpoolFile(folder, SMALL)
    yield opened
    opened.close()


def sized(number: int, size: int = 10_000) -> Inbound:
    return callback(body=b"%d " % number + b"x" * size)


async def settled(put: Awaitable[None]) -> BaseException | None:
    """How it ended; a thread that is gone would let us wait for ever."""
    async with asyncio.timeout(10):
        (end,) = await asyncio.gather(put, return_exceptions=True)
    return end


async def bodies(spool: Spool) -> list[bytes]:
    return [one.body for _, one in await spool.oldest(100)]


async def test_callbacks_come_back_whole_and_in_order_also_after_a_restart(folder: Path):
    given = [EVERYTHING, callback(body=b"second"), callback(body=b"third")]
    first = Spool(folder, 1 << 20)
    for one in given:
        await first.put(one)
    assert await first.oldest(10) == list(enumerate(given, start=1))
    await first.close()
    again = Spool(folder, 1 << 20)
    assert again.depth.callbacks == 3
    assert again.depth.oldest == EVERYTHING.received_at
    assert await again.oldest(10) == list(enumerate(given, start=1))
    await again.remove([1, 3])
    await again.put(callback(body=b"fourth"))
    assert [number for number, _ in await again.oldest(10)] == [2, 4], "no number is given twice"
    await again.close()


async def test_what_is_asked_for_is_behind_a_number_and_without_some_and_few_of_large_ones(spool: Spool):
    for n in range(6):
        await spool.put(callback(body=b"%d" % n))
    assert [number for number, _ in await spool.oldest(2)] == [1, 2]
    assert [number for number, _ in await spool.oldest(2, after=3)] == [4, 5]
    assert [number for number, _ in await spool.oldest(3, exclude={1, 3})] == [2, 4, 5]
    for n in range(5):
        await spool.put(sized(n, 100_000))
    assert [number for number, _ in await spool.oldest(5, after=6)] == [7, 8, 9]


async def test_what_comes_while_the_disk_is_at_work_is_committed_together(spool: Spool, monkeypatch):
    groups = []
    append = SpoolFile.append

    def counted(self: SpoolFile, callbacks: Iterator[Inbound]) -> None:
        group = list(callbacks)
        groups.append(len(group))
        append(self, group)

    monkeypatch.setattr(SpoolFile, "append", counted)
    await asyncio.gather(*(spool.put(callback()) for _ in range(50)))
    assert sum(groups) == spool.depth.callbacks == 50
    assert len(groups) < 50


async def test_at_its_size_it_takes_no_more_and_keeps_what_it_has(folder: Path):
    spool = Spool(folder, SMALL)
    assert spool.has_room
    with captured_log() as log:
        ends = [await settled(spool.put(sized(n, 1_000))) for n in range(120)]
    kept = ends.count(None)
    assert {type(end) for end in ends[kept:]} == {SpoolFull}
    assert not spool.has_room
    assert len(await spool.oldest(200)) == kept > 50
    assert 0 < len(log.events("spool.full")) < len(ends) - kept, "a few lines for them all"
    await spool.remove([number for number, _ in await spool.oldest(200)])
    await eventually(lambda: spool.depth.callbacks == 0)
    assert spool.depth.oldest is None
    assert spool.depth.file_bytes < SMALL / 2, "it shrinks"
    assert spool.has_room
    await spool.put(sized(0))
    await spool.close()


def test_what_was_not_understood_may_take_a_quarter(file: SpoolFile):
    while file.has_room(0.25):
        file.append([sized(0)])
        file.depth()
    assert SMALL / 4 <= file.depth().file_bytes < SMALL
    assert file.has_room()


def gone(_folder: Path) -> int:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("free", "told"),
    [
        (lambda _: spool_file.MIN_FREE_BYTES + (1 << 20), None),
        (lambda _: spool_file.MIN_FREE_BYTES - 1, "64 MiB"),
        (gone, "Input/output"),
    ],
    ids=["room", "some is left to others", "a disk that is gone"],
)
def test_a_disk_has_room_or_says_why_not(file: SpoolFile, monkeypatch, free, told):
    monkeypatch.setattr(spool_file, "_free_bytes", free)
    assert file.has_room() is (told is None)
    with pytest.raises(SpoolFull, match=told) if told else nullcontext():
        file.append([callback()])
    assert file.depth().callbacks == (told is None)


async def test_too_much_before_the_disk_is_refused_at_once(spool: Spool, monkeypatch):
    monkeypatch.setattr(spooling, "_MAX_WAITING_BYTES", 1_000)
    with captured_log():
        ends = await asyncio.gather(*(spool.put(sized(n, 600)) for n in range(20)), return_exceptions=True)
    assert SpoolFull in [type(end) for end in ends]
    assert len(await bodies(spool)) == [type(end) for end in ends].count(type(None))


async def test_one_that_sqlite_cannot_hold_costs_no_other_and_does_not_end_the_thread(spool: Spool):
    odd = callback()._replace(content_type="\ud800")
    with captured_log() as log:
        ends = await asyncio.gather(*(settled(spool.put(one)) for one in (callback(), odd, callback())))
    assert [type(end) for end in ends] == [type(None), SpoolFull, type(None)]
    assert [line["error"] for line in log.events("spool.failed")] == ["UnicodeEncodeError"]
    await spool.put(callback())
    assert spool.depth.callbacks == 3


async def test_a_damaged_row_fails_who_reads_it_and_does_not_end_the_thread(folder: Path):
    first = Spool(folder, 1 << 20)
    await first.put(callback())
    await first.close()
    with sqlite3.connect(folder / FILE_NAME) as db:
        db.execute("UPDATE callback SET received_us = 'noon'")
    db.close()
    spool = Spool(folder, 1 << 20)
    assert (spool.depth.callbacks, spool.depth.oldest) == (1, None)
    with pytest.raises(SpoolError, match="TypeError"):
        await spool.oldest(10)
    await spool.put(callback(body=b"next"))
    assert await spool.oldest(10, after=1)
    await spool.close()


async def test_one_folder_has_one_owner(folder: Path, spool: Spool):
    assert spool.has_room
    with pytest.raises(SpoolInUse, match="RECEIVER_DATA_DIR"):
        Spool(folder, 1 << 20)


def test_a_file_that_is_no_database_is_set_aside_and_kept(folder: Path):
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"this is no database " * 500)
    with captured_log() as log:
        file = SpoolFile(folder, 1 << 20)
        file.append([callback()])
        file.close()
    (line,) = log.events("spool.broken")
    assert (folder / line["kept_as"]).read_bytes().startswith(b"this is no database")


def test_a_healthy_file_is_not_set_aside_because_the_machine_does_not_let_us_open_it(folder: Path):
    """As after somebody looked into it as root: its log was another user's, and the callbacks stayed behind."""
    first = SpoolFile(folder, 1 << 20)
    first.append([callback()])
    first.close()
    (folder / f"{FILE_NAME}-wal").mkdir()
    with pytest.raises(SpoolUnusable, match="RECEIVER_DATA_DIR"):
        SpoolFile(folder, 1 << 20)
    assert [one.name for one in folder.glob(f"{FILE_NAME}.broken*")] == []
    (folder / f"{FILE_NAME}-wal").rmdir()
    again = SpoolFile(folder, 1 << 20)
    assert again.depth().callbacks == 1
    again.close()


def test_a_file_of_an_older_version_is_read_and_takes_more(folder: Path):
    folder.mkdir(parents=True)
    db = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    db.execute(
        "CREATE TABLE callback (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, body BLOB NOT NULL,"
        " content_type TEXT, received_us INTEGER NOT NULL, remote_addr TEXT, request_id TEXT NOT NULL)"
    )
    db.execute("INSERT INTO callback VALUES (7, 'huawei/report', x'61', NULL, 0, NULL, 'r')")
    db.close()
    for times in (1, 2):
        file = SpoolFile(folder, 1 << 20)
        number, one = file.read(10)[0]
        assert (number, one.body, one.correlation, one.skip_parsing_reason) == (7, b"a", None, None)
        file.append([EVERYTHING])
        assert [kept for _, kept in file.read(10)[1:]] == [EVERYTHING] * times
        file.close()


async def test_after_it_is_closed_everybody_is_told(folder: Path):
    spool = Spool(folder, 1 << 20)
    last = asyncio.ensure_future(spool.put(callback()))
    await asyncio.sleep(0)
    await spool.close()
    await last
    assert not spool.has_room
    with pytest.raises(SpoolFull, match="closed"):
        await spool.put(callback())
    with pytest.raises(SpoolError, match="closed"):
        await spool.oldest(1)


async def test_nobody_waits_for_a_caller_that_went_away(spool: Spool):
    going = [asyncio.ensure_future(spool.put(callback())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in going:
        task.cancel()
    await spool.put(callback(body=b"last"))
    assert (await bodies(spool))[-1] == b"last"


def test_a_depth_says_how_old_it_is():
    assert Depth(0, None, 0).age_s == 0
    assert Depth(1, datetime(2026, 1, 1, tzinfo=UTC), 0).age_s > 0
    assert Depth(1, datetime.max.replace(tzinfo=UTC), 0).age_s == 0
    shown = {"callbacks": 1, "oldest": "2026-03-01T12:30:15.123456+00:00", "file_bytes": 4096}
    assert Depth(1, EVERYTHING.received_at, 4096).as_dict() == shown
