"""A look at every host of a URL every few seconds: a service that still writes to an old primary notices a promotion.

And whether the primary's commits are on a second machine; and the file in which the highest timelines outlive a
restart, and get from one worker to the others.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from receiver import database_hosts
from receiver.store import connecting, sql, standing, timelines
from receiver.store.racing import MAY_PASS
from receiver.store.standing import Standing
from receiver.store.timelines import Timelines
from receiver.telemetry.logs import get_logger

if TYPE_CHECKING:
    from datetime import datetime

    from receiver.store.connecting import Connection

_EVERY_S: Final = 3.0
_DEADLINE_S: Final = 2.0

log = get_logger()


class Primary(NamedTuple):
    """A host that takes writes; `replicated`: a commit there is on a synchronous standby too."""

    host: str
    standing: Standing
    replicated: bool


class HostWatch:
    """Owns a connection to each host where it `looks`; `run` closes them when it is cancelled.

    `replicated`: a commit of the primary is on a synchronous standby too; None while that is not known.
    """

    def __init__(self, url: str, known: Timelines, folder: Path, *, looks: bool) -> None:
        self._hosts = [_Host(one) for one in database_hosts.each(url)] if looks else []
        self._known = known
        self._folder = folder
        self._kept: Mapping[str, int] | None = None
        self._unsaved = False
        self._exchanging: asyncio.Task[None] | None = None
        self._told: bool | None = None
        self._beside: Sequence[str] = ()
        self.replicated: bool | None = None

    @property
    def stale(self) -> int:
        """Number of hosts that take writes and should not: old primaries, and those of `beside`."""
        return self._known.stale + len(self._beside)

    def is_old(self, found: Standing) -> bool:
        """See `Timelines`."""
        return self._known.is_old(found)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._exchange_in_time()  # a removal during the first look, which takes seconds, would be missed
            while True:
                self._tell([one for one in await asyncio.gather(*self._looks()) if one])
                await self._exchange_in_time()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_S):
                        await self._known.changed.wait()
        finally:
            if self._exchanging:
                self._exchanging.cancel()
            for host in self._hosts:
                host.close()

    def _looks(self) -> Iterator[Awaitable[Primary | None]]:
        return (host.look(self._known) for host in self._hosts)

    def _tell(self, found: Sequence[Primary]) -> None:
        """Of a failover too, between whose primaries nothing is known for a while."""
        self.replicated = found[0].replicated if found else None
        before, self._beside = self._beside, beside(found)
        if self._beside and not before:
            log.error("database.two_primaries", first=found[0].host, others=list(self._beside))
        if self._told is True and self.replicated is False:
            log.warning("database.sync_replica_lost")
        elif self._told is False and self.replicated is True:
            log.info("database.sync_replica_found")
        if self.replicated is not None:
            self._told = self.replicated

    async def _exchange_in_time(self) -> None:
        """One at a time, to be gone on with later: while the disk hangs, the hosts are looked at all the same."""
        self._exchanging = self._exchanging or asyncio.create_task(self._exchange())
        done, _ = await asyncio.wait([self._exchanging], timeout=_DEADLINE_S)
        if done:
            ended, self._exchanging = self._exchanging, None
            ended.result()

    async def _exchange(self) -> None:
        """Write what is new to the file, or else read what others have written."""
        if self._known.changed.is_set():
            self._known.changed.clear()
            await self._save()
            return
        await self._read()
        if self._unsaved:
            await self._save()

    async def _read(self) -> None:
        there = await asyncio.to_thread(timelines.load, self._folder)
        if timelines.was_removed(self._kept, there):
            self._known.forget()
        if there != {}:  # nothing can be said of a file that cannot be read
            self._kept = there
        self._known.learn(there or {})

    async def _save(self) -> None:
        """Try again at the next look if the disk does not take it."""
        before, self._unsaved = self._unsaved, False
        if not (known := self._known.known):
            return
        try:
            self._kept = await asyncio.to_thread(timelines.save, self._folder, known)
        except OSError as error:
            self._unsaved = True
            if not before:
                log.warning("database.timeline_not_kept", error=type(error).__name__, detail=str(error))


def beside(found: Sequence[Primary]) -> list[str]:
    """The hosts that take writes beside an earlier one of the same timeline: both were promoted from one primary.

    One server may be there by two ways, as by two poolers.
    """
    servers: dict[tuple[str | None, int | None], datetime | None] = {}
    return [
        one.host
        for one in found
        if servers.setdefault((one.standing.system, one.standing.timeline), one.standing.started)
        != one.standing.started
    ]


class _Host:
    """One host, and a connection to it as long as it answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    async def look(self, known: Timelines) -> Primary | None:
        """None unless it takes writes, and is not an old primary."""
        try:
            async with asyncio.timeout(_DEADLINE_S):  # over a slow network connecting takes most of it
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connecting.connect(self._url, timeout_s=_DEADLINE_S)
            async with asyncio.timeout(_DEADLINE_S):
                found = await standing.ask(self._connection)
                if known.judge(self._url, found) is not None or not found.writable:
                    return None
                ((waits, standbys),) = await self._connection.fetch(sql.STANDBYS)
                return Primary(database_hosts.place(self._url), found, bool(waits and standbys != 0))
        except MAY_PASS:
            self.close()
            known.gone(self._url)
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
