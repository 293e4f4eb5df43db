"""The watchers of a service: one look for all of them, and no more on a screen than a person can read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from support.reports import NOON, report
from support.sse import Event, parsed
from support.virtual_time import in_virtual_time

from receiver.ingest.recent import Events, Position, Recent
from receiver.web.live import LOOKED_AT, MOST_WATCHERS, SHOWN, TURN_S, Live, TooManyWatchers
from receiver.web.live_filter import Filter, WrongFilter, parse

EVERYTHING = Filter()


class OneRing:
    """The part of a view that is looked at."""

    def __init__(self) -> None:
        self.ring = Recent(2 * LOOKED_AT)
        self.looks = 0
        self.error: Exception | None = None
        self.kept = 0

    async def recent(self, after: Position | None, most: int) -> Events:
        self.looks += 1
        if self.error:
            raise self.error
        return self.ring.after(after, most)

    def keep(self, number: int, code: str = "DELIVRD") -> None:
        for _ in range(number):
            self.kept += 1
            self.ring.report("report.stored", report(code, message_id=f"m-{self.kept}"), NOON, None)


class Wire:
    """A watcher's connection."""

    def __init__(self, unsent: int = 0) -> None:
        self.unsent, self.aborted = unsent, False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted = True


def live_over(view: OneRing) -> Live:
    return Live(cast("Any", view))


@asynccontextmanager
async def watching(live: Live, query: str = "", last: int = 0, wire: Wire | None = None) -> AsyncIterator[Any]:
    """A watcher's stream, whose first block has come."""
    wanted, _ = parse([tuple(pair.split("=")) for pair in query.split("&") if pair])
    with live.place(cast("asyncio.Transport", wire or Wire()), wanted):
        async with aclosing(live.blocks(wanted, last)) as blocks:
            yield blocks


async def told(blocks: Any) -> list[Event]:
    return parsed(await anext(blocks))


def ids(events: list[Event]) -> list[str]:
    return [data["message_id"] for name, data in events if name == "message"]


@in_virtual_time
async def test_a_flood_is_sampled_and_says_so() -> None:
    view = OneRing()
    async with watching(live_over(view)) as blocks:
        assert await told(blocks) == []
        view.keep(3)
        assert ids(await told(blocks)) == ["m-1", "m-2", "m-3"]
        view.keep(5_000)
        shown = await told(blocks)
        assert len(ids(shown)) == SHOWN
        assert shown[-1] == ("sampled", {"shown": SHOWN, "of": 5_000, "unseen": 0})
        assert await told(blocks) == []


@in_virtual_time
async def test_a_filter_finds_the_rare_one_and_tells_of_those_that_nobody_looked_at() -> None:
    view = OneRing()
    async with watching(live_over(view), "status=undeliverable") as blocks:
        await told(blocks)
        view.keep(LOOKED_AT - 1)
        view.keep(1, "UNDELIV")
        assert ids(await told(blocks)) == [f"m-{LOOKED_AT}"]
        view.keep(2 * LOOKED_AT - 1)
        view.keep(1, "UNDELIV")
        assert (await told(blocks))[1:] == [("sampled", {"shown": 1, "of": 1, "unseen": LOOKED_AT})]


@in_virtual_time
async def test_all_watch_by_one_look_and_nobody_looks_for_nobody() -> None:
    view = OneRing()
    live = live_over(view)
    async with watching(live) as one, watching(live) as other, watching(live, "code=A") as third:
        for blocks in (one, other, third):
            await told(blocks)
        before = view.looks
        for _ in range(4):
            view.keep(1)
            assert [ids(told) for told in await asyncio.gather(*map(told, (one, other, third)))][2] == []
        assert view.looks - before == 4
    await asyncio.sleep(10 * TURN_S)
    assert view.looks - before == 4
    async with watching(live) as again:
        await told(again)
        view.keep(1)
        assert ids(await told(again)) == ["m-5"]


@in_virtual_time
async def test_the_last_rows_come_first_and_once() -> None:
    view = OneRing()
    live = live_over(view)
    async with watching(live) as other:
        await told(other)
        await asyncio.sleep(TURN_S / 2)
        view.keep(4)
        async with watching(live, last=3) as blocks:
            assert ids(await told(blocks)) == ["m-2", "m-3", "m-4"]
            view.keep(1)
            new, all_of_them = await asyncio.gather(told(blocks), told(other))
    assert ids(new) == ["m-5"]
    assert ids(all_of_them) == ["m-1", "m-2", "m-3", "m-4", "m-5"]


@in_virtual_time
async def test_a_watcher_that_reads_slowly_skips_turns_and_is_told_so() -> None:
    view = OneRing()
    async with watching(live_over(view)) as blocks:
        await told(blocks)
        await asyncio.sleep(TURN_S / 2)
        for _ in range(3):
            view.keep(2)
            await asyncio.sleep(TURN_S)
        view.keep(1)
        shown = await told(blocks)
        assert ids(shown) == ["m-7"]
        assert shown[1:] == [("sampled", {"shown": 1, "of": 7, "unseen": 0})]


@in_virtual_time
async def test_there_is_a_most_of_watchers_and_a_place_is_free_again() -> None:
    live = live_over(OneRing())
    with ExitStack() as places:
        for _ in range(MOST_WATCHERS):
            places.enter_context(live.place(cast("asyncio.Transport", Wire()), EVERYTHING))
        with pytest.raises(TooManyWatchers), live.place(cast("asyncio.Transport", Wire()), EVERYTHING):
            pass
    async with watching(live) as blocks:
        assert await told(blocks) == []


@in_virtual_time
async def test_a_stop_ends_every_stream_and_waits_for_none() -> None:
    view = OneRing()
    live = live_over(view)
    stuck, good = Wire(unsent=1), Wire()
    async with watching(live, wire=good) as blocks, watching(live, wire=stuck) as other:
        await told(blocks)
        await told(other)
        waits = asyncio.create_task(anext(blocks, None))
        await asyncio.sleep(0)
        live.close()
        assert await waits is None
        assert await anext(other, None) is None
        assert (stuck.aborted, good.aborted) == (True, False)


@in_virtual_time
async def test_a_fault_of_ours_ends_the_streams_and_the_next_watcher_begins_anew() -> None:
    view = OneRing()
    live = live_over(view)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with watching(live) as blocks:
        await told(blocks)
        view.error = ZeroDivisionError()
        assert await anext(blocks, None) is None
    view.error = None
    async with watching(live) as blocks:
        await told(blocks)
        view.keep(1)
        assert ids(await told(blocks)) == ["m-1"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ([("colour", "red")], "'colour' is no filter: there are provider, status, reason, country, code, and last"),
        ([("status", "lost")], "status='lost' is none of unknown, enroute,"),
        ([("country", "China")], "country='China' is no country: it takes two letters (ISO 3166), as CN"),
        ([("code", "x" * 257)], "code: no code is longer than 256 characters"),
        ([("last", "201")], "last='201' is no number from 0 to 200"),
        ([("last", "-1")], "last='-1' is no number"),
    ],
)
def test_a_filter_that_is_not_understood_is_said(query: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(WrongFilter) as error:
        parse(query)
    assert str(error.value).startswith(says)


def test_a_field_takes_any_of_its_values_and_an_empty_one_is_none() -> None:
    wanted, last = parse([("status", ""), ("code", "A"), ("code", "B"), ("country", "cn"), ("last", "7")])
    assert wanted == Filter((("code", frozenset("AB")), ("country", frozenset(["CN"]))))
    assert (last, bool(parse([("status", "")])[0])) == (7, False)
