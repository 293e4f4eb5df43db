"""Answers that are shared for some seconds: ten browsers with the same page ask PostgreSQL once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MOST: Final = 64
"""Answers that are kept; the oldest goes first."""

_LONGEST_S: Final = 120.0
_SHARE: Final = 10.0
"""An answer is fresh for so many times as long as it took, but no longer than that: a slow question is asked seldom."""


def _always(_answer: object) -> bool:
    return True


@dataclass(slots=True)
class _Asked(Generic[T]):
    task: asyncio.Task[T]
    fresh_until: float = float("inf")
    """While it is being answered, it is fresh."""


class Shared(Generic[T]):
    """Answers by key. An error is raised to all that wait for the answer, and not kept.

    An answer of which `lasts` says no is fresh for as long as it took: what was away may be back at any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, lasts: Callable[[T], bool] = _always) -> None:
        self._clock, self._lasts = clock, lasts
        self._asked: dict[Hashable, _Asked[T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]], fresh_s: float) -> T:
        """The answer for this key, by `ask` if none is fresh; cancelling one wait does not end it for others.

        One that lasts stays fresh for `fresh_s` at least.
        """
        found = self._asked.get(key)
        if found is None or found.fresh_until < self._clock():
            self._asked.pop(key, None)
            found = self._asked[key] = self._ask(key, ask, fresh_s)
            self._forget_old()
        return await asyncio.shield(found.task)

    def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]], fresh_s: float) -> _Asked[T]:
        began = self._clock()

        async def answer() -> T:
            return await ask()

        asked = _Asked(asyncio.create_task(answer()))

        def done(task: asyncio.Task[T]) -> None:
            failed = task.cancelled() or task.exception() is not None
            if failed and self._asked.get(key) is asked:
                del self._asked[key]
            now = self._clock()
            took = now - began
            lasts = not failed and self._lasts(task.result())
            asked.fresh_until = now + (min(_LONGEST_S, max(fresh_s, _SHARE * took)) if lasts else took)

        asked.task.add_done_callback(done)
        return asked

    def _forget_old(self) -> None:
        for key in [key for key, asked in self._asked.items() if asked.task.done()]:
            if len(self._asked) <= _MOST:
                return
            del self._asked[key]

    async def close(self) -> None:
        """Cancel the questions under way."""
        tasks = [asked.task for asked in self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
