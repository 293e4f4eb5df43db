"""What is kept, shown to everybody that watches: one task looks for all of them, and only while there are any.

A turn shows few rows and says of how many, so that a flood of reports is a trickle for the service and for a browser.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson

from receiver.ingest.recent import Event, Events, Position, evenly
from receiver.web.live_filter import Filter
from receiver.web.view import View

TURN_S: Final = 0.5

SHOWN: Final = 20
"""Most rows that a watcher is shown of one turn."""

LOOKED_AT: Final = 500
"""Most rows of a process that filters choose from in one turn; to mask and format one takes some microseconds."""

MOST_WATCHERS: Final = 32


class TooManyWatchers(Exception):
    """There is no place for another."""


class Turn:
    """The rows of one turn, after so many `before` it. Watchers with the same filter share the bytes."""

    def __init__(self, page: Events, before: int = 0) -> None:
        self.before = before
        self.after = before + len(page.events) + page.missed
        self._page = page
        self._blocks: dict[Filter, bytes] = {}

    def block(self, wanted: Filter, known: Position, skipped: int) -> bytes:
        """As server-sent events, without those up to the `known` position, and after so many `skipped` rows."""
        if known or skipped:
            return self._render(wanted, known, skipped)
        if wanted not in self._blocks:
            self._blocks[wanted] = self._render(wanted, known, skipped)
        return self._blocks[wanted]

    def _render(self, wanted: Filter, known: Position, skipped: int) -> bytes:
        matching = [event for event in self._page.events if wanted.takes(event) and event.is_after(known)]
        shown, passed = evenly(matching, SHOWN), self._page.missed + skipped
        of, unseen = (len(matching), passed) if wanted else (len(matching) + passed, 0)
        block = rendered(shown)
        if of > len(shown) or unseen:
            block += b"event: sampled\n" + _data({"shown": len(shown), "of": of, "unseen": unseen})
        return block


class Live:
    """The watchers of one service by their connections, and the task that looks for them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._watchers: dict[asyncio.Transport, Filter] = {}
        self._looking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._position: Position = {}
        self._turn: Turn | None = None
        self._ticked = asyncio.Event()
        self._closed = False

    @contextmanager
    def place(self, watcher: asyncio.Transport, wanted: Filter) -> Iterator[None]:
        """A watcher's place while the block runs. Raises TooManyWatchers."""
        if len(self._watchers) >= MOST_WATCHERS:
            raise TooManyWatchers
        self._watchers[watcher] = wanted
        try:
            yield
        finally:
            del self._watchers[watcher]
            if not self._watchers:
                self._stop_looking()

    async def blocks(self, wanted: Filter, last: int) -> AsyncGenerator[bytes]:
        """Server-sent events: the last rows first, then those of each turn, which may be none. Ends with the service.

        A watcher that comes late for a turn skips it, and is told so.
        """
        await self._start()
        before, known = await last_events(self._view, wanted, last)
        seen = self._turn.after if self._turn else 0
        yield rendered(before)
        while (turn := await self._next_turn()) is not None:
            yield turn.block(wanted, known, turn.before - seen)
            seen, known = turn.after, {}

    def close(self) -> None:
        """End all streams, for the service stops. A watcher that takes nothing is not waited for."""
        self._closed = True
        self._stop_looking()
        self._tick(None)
        for watcher in self._watchers:
            if watcher.get_write_buffer_size():
                watcher.abort()

    async def _start(self) -> None:
        async with self._starting:
            if self._looking is None and not self._closed:
                self._turn = None
                self._position = (await self._view.recent(None, 0)).position
                self._looking = asyncio.create_task(self._look())

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        try:
            while True:
                await asyncio.sleep(TURN_S)
                most = LOOKED_AT if any(self._watchers.values()) else SHOWN
                page = await self._view.recent(self._position, most)
                # A worker that did not answer this time is asked from its old position the next time.
                self._position = {**self._position, **page.position}
                self._tick(Turn(page, self._turn.after if self._turn else 0))
        finally:
            if self._looking is asyncio.current_task():  # a fault of our own: the watchers come back and start anew
                self._looking = None
                self._tick(None)

    async def _next_turn(self) -> Turn | None:
        """The turn that comes next; None once there is none."""
        if self._closed or self._looking is None:
            return None
        await self._ticked.wait()
        return self._turn

    def _tick(self, turn: Turn | None) -> None:
        self._turn = turn
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()


async def last_events(view: View, wanted: Filter, number: int) -> tuple[list[Event], Position]:
    """So many of the rows that were kept before, the oldest first, and the position behind them.

    Filters look at the last ones that each process remembers.
    """
    page = await view.recent(None, LOOKED_AT if number and wanted else number)
    events = [event for event in page.events if wanted.takes(event)]
    return events[len(events) - min(number, len(events)) :], page.position


def rendered(events: Collection[Event]) -> bytes:
    """Each as a server-sent event of the type `message`."""
    return b"".join(_data(event.as_dict()) for event in events)


def _data(value: dict[str, Any]) -> bytes:
    """One line: no text in it has a line end (`receiver.telemetry.visible`), and JSON would escape it."""
    return b"data: %b\n\n" % orjson.dumps(value)
