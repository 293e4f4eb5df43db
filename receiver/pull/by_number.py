"""Asking for one number's reports again: what fills the gap that a destructive read can leave (`receiver.pull`)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from receiver.inbound import Inbound
from receiver.pull.loop import as_callback
from receiver.pull.source import Lookup, PulledAnswer, PullFailed
from receiver.pull.thread import in_thread
from receiver.telemetry.logs import get_logger
from receiver.telemetry.masking import mask_msisdn

Store = Callable[[Inbound], Awaitable[int]]
"""Commits an answer. How much in it was new."""

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 1.0

log = get_logger()


@dataclass(slots=True)
class Found:
    """Reports and replies that the platform told of, and how many of them were not stored before.

    `incomplete` counts the seconds of which it told as much as it tells at a time: it may know of more.
    """

    numbers: int = 0
    items: int = 0
    new: int = 0
    incomplete: int = 0


async def look_up(
    lookups: Sequence[Lookup], numbers: Iterable[str], since: datetime, until: datetime, store: Store
) -> Found:
    """Ask about each number (E.164), one after the other. Raises PullFailed when a question keeps failing."""
    found = Found()
    for number in numbers:
        found.numbers += 1
        for lookup in lookups:
            await _Search(lookup, number, store, found).run(int(since.timestamp()), int(until.timestamp()))
    return found


@dataclass(slots=True)
class _Search:
    """For what one lookup tells of one number. Spans are Unix seconds, and both ends are meant."""

    lookup: Lookup
    number: str
    store: Store
    found: Found
    _alone: dict[int, PulledAnswer] = field(default_factory=dict)
    _incomplete: set[int] = field(default_factory=set)

    async def run(self, since: int, until: int) -> None:
        """Of what a full answer is about, the halves are asked for, down to a second.

        There is no second page: the platform takes no offset but 0.
        """
        spans = [(since, until)]
        while spans:
            since, until = spans.pop()
            handed = await self._ask(since, until)
            if not self._is_full(handed):
                await self._take([handed], handed.count)
            elif until - since > 1:
                middle = (since + until) // 2
                # Where the halves meet, both have the second, stored once: nobody says whether an end is meant.
                spans += [(middle, until), (since, middle)]
            else:
                await self._take_full(handed, since, until)

    async def _take_full(self, handed: PulledAnswer, since: int, until: int) -> None:
        """Two seconds are asked for one by one. What is full even then is taken, and told of."""
        seconds = dict.fromkeys((since, until))
        before = set(self._alone)
        if since == until:
            self._alone[since] = handed
        else:
            await self._ask_alone(seconds)
        known = {second: self._alone[second] for second in seconds if second in self._alone}
        fresh = [one for second, one in known.items() if second not in before]
        if is_whole := len(known) == len(seconds) and sum(one.count for one in known.values()) >= handed.count:
            missing = {second for second, one in known.items() if self._is_full(one)}
        else:
            missing = {since}
        self._tell(missing)
        count = sum(one.count for one in fresh) if is_whole else handed.count
        await self._take([handed, *fresh] if missing else fresh, count)

    async def _ask_alone(self, seconds: Iterable[int]) -> None:
        for second in seconds:
            if second in self._alone:
                continue
            try:
                self._alone[second] = await self._ask(second, second)
            except PullFailed as error:
                if not error.lasting:
                    raise
                return  # so short a span is none to the platform

    def _is_full(self, handed: PulledAnswer) -> bool:
        return handed.count >= self.lookup.limit

    def _tell(self, seconds: set[int]) -> None:
        for second in seconds - self._incomplete:
            self.found.incomplete += 1
            log.warning(
                "pull.incomplete",
                source=self.lookup.path,
                recipient=mask_msisdn(self.number),
                second=_moment(second).isoformat(),
                advice=f"the platform tells of {self.lookup.limit} at a time: it may know of more",
            )
        self._incomplete |= seconds

    async def _take(self, answers: Sequence[PulledAnswer], count: int) -> None:
        self.found.items += count
        for handed in answers:
            if handed.count:
                self.found.new += await self.store(as_callback(self.lookup.path, handed))

    async def _ask(self, since: int, until: int) -> PulledAnswer:
        """Raises PullFailed when it keeps failing, or will not be better."""
        handed = await _patiently(self.lookup, self.number, _moment(since), _moment(until))
        await asyncio.sleep(self.lookup.gap_s)
        return handed


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


async def _patiently(lookup: Lookup, number: str, since: datetime, until: datetime) -> PulledAnswer:
    pause = _FIRST_PAUSE_S
    for _ in range(_TRIES - 1):
        try:
            return await _fetch(lookup, number, since, until)
        except PullFailed as error:
            if error.lasting:
                raise
            log.warning("pull.failed", source=lookup.path, code=error.code, advice=error.advice, detail=error.detail)
        await asyncio.sleep(pause)
        pause *= 2
    return await _fetch(lookup, number, since, until)


async def _fetch(lookup: Lookup, number: str, since: datetime, until: datetime) -> PulledAnswer:
    return await in_thread(lambda: lookup.fetch(number, since, until), lookup.path, lookup.timeout_s)
