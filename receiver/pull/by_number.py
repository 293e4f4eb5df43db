"""Queries one number's reports again, to fill the gap that a destructive read can leave (`receiver.pull`)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from receiver.inbound import Inbound
from receiver.pull.loop import as_callback
from receiver.pull.source import Lookup, PulledAnswer, PullFailed
from receiver.pull.thread import in_thread
from receiver.store.told import UNTOLD, Told
from receiver.telemetry.logs import get_logger
from receiver.telemetry.masking import mask_msisdn

Store = Callable[[Inbound], Awaitable[int]]
"""Commits an answer; returns the number of new items in it."""

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 1.0

log = get_logger()


@dataclass(slots=True)
class Found:
    """Counts of numbers, of reports and replies that the platform returned, and of new ones among them.

    `incomplete` counts the seconds for which it returned as many items as it can at a time: there may be more.
    """

    numbers: int = 0
    items: int = 0
    new: int = 0
    incomplete: int = 0


async def look_up(
    lookups: Sequence[Lookup],
    numbers: Iterable[str],
    since: datetime,
    until: datetime,
    store: Store,
    told: Told = UNTOLD,
) -> Found:
    """Query each number (E.164), one after the other. Raises PullFailed if a query keeps failing."""
    found = Found()
    for number in numbers:
        found.numbers += 1
        for lookup in lookups:
            await _Search(lookup, number, store, found).run(int(since.timestamp()), int(until.timestamp()))
        told.advance()
        told.note(f"{found.items} reports and replies, {found.new} new")
    return found


@dataclass(slots=True)
class _Search:
    """One lookup for one number. Spans are Unix seconds, both ends included."""

    lookup: Lookup
    number: str
    store: Store
    found: Found
    _by_second: dict[int, PulledAnswer] = field(default_factory=dict)
    _incomplete: set[int] = field(default_factory=set)

    async def run(self, since: int, until: int) -> None:
        """Query the span; after a full answer its halves, down to one second.

        There are no further pages: the platform takes no offset but 0.
        """
        spans = [(since, until)]
        while spans:
            since, until = spans.pop()
            answer = await self._ask(since, until)
            if not self._is_full(answer):
                await self._store([answer], answer.count)
            elif until - since > 1:
                middle = (since + until) // 2
                # Both halves include the second in the middle, whose reports are stored once: the platform does not
                # document whether the ends of a span belong to it.
                spans += [(middle, until), (since, middle)]
            else:
                await self._store_full(answer, since, until)

    async def _store_full(self, answer: PulledAnswer, since: int, until: int) -> None:
        """Query two seconds one by one. An answer that is full even then is stored and logged."""
        seconds = dict.fromkeys((since, until))
        before = set(self._by_second)
        if since == until:
            self._by_second[since] = answer
        else:
            await self._ask_by_second(seconds)
        known = {second: self._by_second[second] for second in seconds if second in self._by_second}
        new_answers = [one for second, one in known.items() if second not in before]
        if is_whole := len(known) == len(seconds) and sum(one.count for one in known.values()) >= answer.count:
            missing = {second for second, one in known.items() if self._is_full(one)}
        else:
            missing = {since}
        self._log_incomplete(missing)
        count = sum(one.count for one in new_answers) if is_whole else answer.count
        await self._store([answer, *new_answers] if missing else new_answers, count)

    async def _ask_by_second(self, seconds: Iterable[int]) -> None:
        for second in seconds:
            if second in self._by_second:
                continue
            try:
                self._by_second[second] = await self._ask(second, second)
            except PullFailed as error:
                if not error.permanent:
                    raise
                return  # the platform refuses so short a span

    def _is_full(self, answer: PulledAnswer) -> bool:
        return answer.count >= self.lookup.limit

    def _log_incomplete(self, seconds: set[int]) -> None:
        for second in seconds - self._incomplete:
            self.found.incomplete += 1
            log.warning(
                "pull.incomplete",
                source=self.lookup.path,
                recipient=mask_msisdn(self.number),
                second=_datetime(second).isoformat(),
                advice=f"the platform tells of {self.lookup.limit} at a time: it may know of more",
            )
        self._incomplete |= seconds

    async def _store(self, answers: Sequence[PulledAnswer], count: int) -> None:
        self.found.items += count
        for answer in answers:
            if answer.count:
                self.found.new += await self.store(as_callback(self.lookup.path, answer))

    async def _ask(self, since: int, until: int) -> PulledAnswer:
        """Query a span. Raises PullFailed if it keeps failing, or would fail again."""
        answer = await _fetch_with_retries(self.lookup, self.number, _datetime(since), _datetime(until))
        await asyncio.sleep(self.lookup.gap_s)
        return answer


def _datetime(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


async def _fetch_with_retries(lookup: Lookup, number: str, since: datetime, until: datetime) -> PulledAnswer:
    pause = _FIRST_PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return await _fetch(lookup, number, since, until)
        except PullFailed as error:
            if error.permanent:
                raise
            log.warning("pull.failed", source=lookup.path, code=error.code, advice=error.advice, detail=error.detail)
        await asyncio.sleep(pause)
        pause *= 2
    return await _fetch(lookup, number, since, until)


async def _fetch(lookup: Lookup, number: str, since: datetime, until: datetime) -> PulledAnswer:
    return await in_thread(lambda: lookup.fetch(number, since, until), lookup.path, lookup.timeout_s)
