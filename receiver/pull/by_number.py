"""Asking for one number's reports again: what fills the gap that a destructive read can leave (`receiver.pull`)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from receiver.callback import Callback
from receiver.logs import get_logger
from receiver.pull.loop import as_callback
from receiver.pull.source import Handed, Lookup, PullFailed
from receiver.pull.thread import in_thread

Store = Callable[[Callback], Awaitable[int]]
"""Commits an answer. How much in it was new."""

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 1.0
_SHORTEST: Final = timedelta(seconds=1)

log = get_logger()


@dataclass(slots=True)
class Found:
    """Reports and replies that the platform told of, and how many of them were not stored before."""

    numbers: int = 0
    items: int = 0
    new: int = 0


async def look_up(
    lookups: Sequence[Lookup], numbers: Iterable[str], since: datetime, until: datetime, store: Store
) -> Found:
    """Ask about each number (E.164), one after the other. Raises PullFailed when a question keeps failing."""
    found = Found()
    for number in numbers:
        found.numbers += 1
        for lookup in lookups:
            await _one(lookup, number, (since, until), store, found)
    return found


async def _one(lookup: Lookup, number: str, span: tuple[datetime, datetime], store: Store, found: Found) -> None:
    """A full answer has no second page: the halves of its span are asked for instead."""
    spans = [span]
    while spans:
        since, until = spans.pop()
        handed = await _patiently(lookup, number, since, until)
        await asyncio.sleep(lookup.gap_s)
        if handed.count >= lookup.limit and until - since > _SHORTEST:
            middle = since + (until - since) // 2
            # Whole seconds on the wire: where the halves meet, both have the second, and it is stored once.
            spans += [(middle, until), (since, middle)]
        elif handed.count:
            found.items += handed.count
            found.new += await store(as_callback(lookup.path, handed))


async def _patiently(lookup: Lookup, number: str, since: datetime, until: datetime) -> Handed:
    pause = _FIRST_PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return await _ask(lookup, number, since, until)
        except PullFailed as error:
            log.warning("pull.failed", source=lookup.path, code=error.code, advice=error.advice, detail=error.detail)
        await asyncio.sleep(pause)
        pause *= 2
    return await _ask(lookup, number, since, until)


async def _ask(lookup: Lookup, number: str, since: datetime, until: datetime) -> Handed:
    return await in_thread(lambda: lookup.fetch(number, since, until), lookup.path, lookup.timeout_s)
