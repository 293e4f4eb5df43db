"""A primary and its standby, named in one URL, over several failovers."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from support.cluster import APPLICATION, Cluster
from support.databases import connected
from support.standby import standby_of


@dataclass
class Pair:
    """`first` was the primary at the beginning."""

    first: Cluster
    second: Cluster
    database: str

    def url(self, *, user: str = APPLICATION, query: str = "") -> str:
        """The standby stands first in it."""
        return f"postgresql://{user}@127.0.0.1:{self.second.port},127.0.0.1:{self.first.port}/{self.database}{query}"

    async def stored(self, cluster: Cluster) -> set[str]:
        async with connected(cluster.url(self.database)) as sql:
            return {row["message_id"] for row in await sql.fetch("SELECT message_id FROM sms.delivery_report")}

    async def fail_over(self) -> None:
        """kill -9 of the primary; the standby takes its place."""
        self.first.kill()
        await self.second.administrate("SELECT pg_promote()")


@dataclass
class Line:
    """Primaries one after the other: a standby that has taken the place of one gets a standby of its own."""

    primary: Cluster
    folder: Path
    stack: AsyncExitStack
    database: str
    standby: Cluster | None = None
    numbers: Iterator[int] = field(default_factory=count)

    async def pair(self) -> Pair:
        """Both alive, and one the standby of the other, whatever state a test has left them in."""
        if self.standby:
            await _started(self.standby)
            if not await _is_standby(self.standby):
                self.primary.kill()
                self.primary, self.standby = self.standby, None
        await _started(self.primary)
        if self.standby is None:
            folder = self.folder / f"standby_{next(self.numbers)}"
            self.standby = await self.stack.enter_async_context(standby_of(self.primary, folder))
        return Pair(self.primary, self.standby, self.database)


async def _started(cluster: Cluster) -> None:
    if not cluster.alive:
        await cluster.start()


async def _is_standby(cluster: Cluster) -> bool:
    async with connected(cluster.socket_url("postgres")) as sql:
        return bool(await sql.fetchval("SELECT pg_is_in_recovery()"))
