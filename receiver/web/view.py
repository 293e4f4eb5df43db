"""What the ops listener tells of: one process here, and several in `receiver.workers.whole`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from receiver.ingest.recent import Events, Position, Recent
from receiver.store.durable import DurableStore
from receiver.store.host_watch import HostWatch
from receiver.store.maintenance.partitions import Maintenance
from receiver.store.spool import Spool, SpoolError
from receiver.store.spool_file import Depth, as_line, total
from receiver.telemetry.metrics import Metrics

PAGE: Final = 100
"""Most callbacks that are read from a spool at once."""


class Workers(NamedTuple):
    """Workers that the service should have and those that serve; spools of others that are not yet drained."""

    wanted: int
    serving: int
    spools_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`database`: the last write to PostgreSQL succeeded; `spool`: there is room in it; `depth` of all spools.

    `days_left` is the number of days ahead that have partitions, None until it is known. `sync_replica`: a commit is on
    a second machine, None while that is not known; `stale_primaries` is the number of old ones that still take writes.
    """

    database: bool
    spool: bool
    depth: Depth
    days_left: int | None
    workers: Workers | None = None
    sync_replica: bool | None = None
    stale_primaries: int = 0


class View(Protocol):
    """The process or processes that the ops listener tells of."""

    async def health(self) -> Health:
        """For `/readyz` and `/spool`."""

    async def metrics(self) -> bytes:
        """The body of `/metrics`."""

    def spooled(self) -> AsyncIterator[bytes]:
        """Every callback in the spools as a line of JSON, by spool in order of arrival."""

    async def recent(self, after: Position | None, most: int) -> Events:
        """The rows that were kept after the position, or the last ones; at most so many of each process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneProcess:
    """The view of one process; `left` are the spools of former workers, which it drains beside its own."""

    store: DurableStore
    registered: Metrics
    maintenance: Maintenance
    spool: Spool
    left: Callable[[], Sequence[Spool]]
    ring: Recent
    watch: HostWatch

    @property
    def depth(self) -> Depth:
        """Depth of all its spools; no I/O."""
        return total(spool.depth for spool in (self.spool, *self.left()))

    async def health(self) -> Health:
        """See `View`."""
        return Health(
            database=self.store.database_takes,
            spool=self.store.spool_takes,
            depth=self.depth,
            days_left=self.maintenance.days_left,
            sync_replica=self.watch.replicated,
            stale_primaries=self.watch.stale,
        )

    async def metrics(self) -> bytes:
        """See `View`."""
        return self.registered.render()

    async def spooled(self) -> AsyncIterator[bytes]:
        """See `View`."""
        async for line in _lines(self.spool):
            yield line
        for spool in self.left():
            with suppress(SpoolError):  # it is drained, and closed
                async for line in _lines(spool):
                    yield line

    async def recent(self, after: Position | None, most: int) -> Events:
        """See `View`."""
        return self.ring.after(after, most)


async def _lines(spool: Spool) -> AsyncIterator[bytes]:
    after = 0
    while page := await spool.oldest(PAGE, after):
        for number, callback in page:
            yield as_line(number, callback)
            after = number
