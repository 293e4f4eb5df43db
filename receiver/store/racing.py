"""One connection among several hosts: all are tried at once, so that the time-outs of dead ones do not add up."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from receiver.database_hosts import Wanted, place
from receiver.store import standing
from receiver.store.standing import Standing

if TYPE_CHECKING:
    from receiver.store.connecting import Connection

_GRACE_S: Final = 0.3
"""For so long a server that would do waits for those that might do better."""

_AGAIN_S: Final = 0.25
"""After so long a server that will not do is asked again, while another host says nothing: it may be the standby that
is promoted in the place of that one."""

_SHARE: Final = 0.9
"""Share of the time in which a server must have been found: the caller's own time-out says nothing of the hosts."""

MAY_PASS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Unsuitable(ConnectionError):
    """The server answers, and is not the one that is wanted."""


class NoHost(ConnectionError):
    """No host of several will do; `errors` says why, by its URL."""

    def __init__(self, errors: Sequence[tuple[str, Exception]]) -> None:
        said = "; ".join(f"{place(url)}: {str(error) or type(error).__name__}" for url, error in errors)
        super().__init__(said)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that answers; `at` is its place among the hosts."""

    at: int
    url: str
    connection: "Connection"
    standing: Standing


Open = Callable[[str], Awaitable["Connection"]]
Refusal = Callable[[str, Standing], str | None]
"""Why the server of this URL must not be used, None if it may."""

_WILL_DO: Final[dict[Wanted, Callable[[Standing], bool]]] = {
    Wanted.ANY: lambda _: True,
    Wanted.PRIMARY: lambda found: not found.standby,
    Wanted.STANDBY: lambda found: found.standby,
    Wanted.PREFER_STANDBY: lambda _: True,
    Wanted.READ_WRITE: lambda found: found.writable,
    Wanted.READ_ONLY: lambda found: not found.writable,
}

_WORTH: Final[dict[Wanted, Callable[[Candidate], int]]] = {
    Wanted.PRIMARY: lambda one: one.standing.timeline or 0,
    Wanted.PREFER_STANDBY: lambda one: one.standing.standby,
    Wanted.READ_WRITE: lambda one: one.standing.timeline or 0,
}
"""The greatest is taken, and of equals the first in the URL: of two primaries the one that was promoted last."""

_SETTLED: Final[dict[Wanted, Callable[[Candidate, Collection[int]], bool]]] = {
    Wanted.ANY: lambda best, pending: best.at < min(pending),
    Wanted.PRIMARY: lambda _best, _pending: False,
    Wanted.STANDBY: lambda _best, _pending: True,
    Wanted.PREFER_STANDBY: lambda best, _pending: best.standing.standby,
    Wanted.READ_WRITE: lambda _best, _pending: False,
    Wanted.READ_ONLY: lambda _best, _pending: True,
}
"""Whether none of the hosts that have not answered yet could be taken in place of the best."""


async def race(urls: Sequence[str], open_one: Open, wanted: Wanted, refused: Refusal, timeout_s: float) -> Candidate:
    """The best of the hosts, within `timeout_s`; the connections to all others are cut. Raises NoHost."""
    ends_at = asyncio.get_running_loop().time() + timeout_s * _SHARE
    heat = _Heat(wanted, refused, dict.fromkeys(range(len(urls))))
    attempts = [asyncio.create_task(heat.attempt(at, url, open_one)) for at, url in enumerate(urls)]
    chosen = None
    try:
        await heat.run(attempts, ends_at)
        if heat.best is None:
            late = TimeoutError("no answer in time")
            raise NoHost([(url, heat.errors[at] or late) for at, url in enumerate(urls)])
        chosen = heat.best
    finally:
        await _clear_away(attempts, chosen)
    return chosen


class _Heat:
    """The best host so far, and the errors of the others."""

    def __init__(self, wanted: Wanted, refused: Refusal, errors: dict[int, Exception | None]) -> None:
        self._wanted, self._refused = wanted, refused
        self.errors = errors
        self.best: Candidate | None = None
        self._silent = set(errors)
        self._all_heard = asyncio.Event()
        self._found_at: float | None = None

    async def attempt(self, at: int, url: str, open_one: Open) -> Candidate:
        """One host. A server that will not do is given up once every other one was heard of."""
        try:
            connection = await open_one(url)
        except BaseException:
            self._heard(at)
            raise
        try:
            found = await standing.ask(connection)
            self._heard(at)
            while not _WILL_DO[self._wanted](found):
                self.errors[at] = Unsuitable(_described(found))
                if await self._are_all_heard():
                    break
                found = await standing.ask(connection)
        except BaseException:
            self._heard(at)
            connection.terminate()
            raise
        return Candidate(at, url, connection, found)

    def _heard(self, at: int) -> None:
        self._silent.discard(at)
        if not self._silent:
            self._all_heard.set()

    async def _are_all_heard(self) -> bool:
        """Soon, or a moment later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_S):
                await self._all_heard.wait()
        return self._all_heard.is_set()

    async def run(self, attempts: Sequence["asyncio.Task[Candidate]"], ends_at: float) -> None:
        """Return when the best is known, or the time is over."""
        clock = asyncio.get_running_loop().time
        pending = dict(enumerate(attempts))
        while pending and not (self.best and _SETTLED[self._wanted](self.best, pending.keys())):
            done, _ = await asyncio.wait(
                pending.values(), timeout=max(0.0, ends_at - clock()), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return
            for at in [at for at, task in pending.items() if task in done]:
                self._take(at, pending.pop(at))
            if self._found_at is not None:
                ends_at = min(ends_at, self._found_at + _GRACE_S)

    def _take(self, at: int, attempt: "asyncio.Task[Candidate]") -> None:
        try:
            found = attempt.result()
        except asyncpg.exceptions.ClientConfigurationError:
            raise
        except MAY_PASS as error:
            self.errors[at] = error
            return
        if not _WILL_DO[self._wanted](found.standing):
            self.errors[at] = Unsuitable(_described(found.standing))
        elif reason := self._refused(found.url, found.standing):
            self.errors[at] = Unsuitable(reason)
        elif self.best is None or self._worth(found) > self._worth(self.best):
            self.best = found
            self._found_at = self._found_at or asyncio.get_running_loop().time()

    def _worth(self, one: Candidate) -> tuple[int, int]:
        rated = _WORTH.get(self._wanted)
        return (rated(one) if rated else 0, -one.at)


async def _clear_away(attempts: Sequence["asyncio.Task[Candidate]"], best: Candidate | None) -> None:
    """End every attempt, and cut every connection but the best one's; that too if the caller gives up meanwhile."""

    def cut(ended: "asyncio.Task[Candidate]") -> None:
        if not (ended.cancelled() or ended.exception()) and ended.result() is not best:
            ended.result().connection.terminate()

    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(cut)
    try:
        await asyncio.wait(attempts)
    except asyncio.CancelledError:
        if best:
            best.connection.terminate()
        raise


def _described(found: Standing) -> str:
    if found.standby:
        return "it is a standby"
    return "it is read-only" if found.read_only else "it takes writes"
