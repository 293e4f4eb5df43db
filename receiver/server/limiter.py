"""Who may stay connected: deadlines for the slow, and an order in which connections give way when all are taken.

The connections tell of themselves (`Evictable`); one task looks at all of them now and then, so that no connection
needs a timer, and a request that comes in one piece costs nothing here.
"""

import asyncio
import heapq
from dataclasses import dataclass
from time import thread_time
from typing import Final, Protocol

from receiver.addresses import Networks, client_key
from receiver.telemetry.metrics import Ended, Metrics

SLOW_S: Final = 1.0
"""An honest head or body is there sooner, or has a reason not to mind."""

FRESH_S: Final = 0.05
"""What a connection sent with its beginning may not have been read yet."""

BURST: Final = 8
"""The n-th part of the limit may come on top of it, for the moment that it takes to see who is slow."""

_MOMENT_S: Final = 0.02
_TICK_S: Final = 0.5
_SHARE: Final = 10
"""A look at all connections is taken when this many times what the last one cost has gone by: a tenth of our CPU.

Not of the clock: on a busy machine a look takes long that costs little, and nobody could be let in meanwhile.
"""

_STALE_S: Final = 1.0
_AT_ONCE: Final = 256
_PART_AT_ONCE: Final = 4
"""How many are found in one look at all connections, to give way one after another: so many, or a part of them all."""


class Evictable(Protocol):
    """A connection."""

    peer: str | None

    def eviction_priority(self, now: float) -> tuple[int, float] | None:
        """How soon it should give way, the least first: a rank, and since when. None while it works on a request."""

    def overdue(self, now: float, limits: "Limits") -> Ended | None:
        """Why it should be ended now, if it should."""

    def end(self, cause: Ended) -> None:
        """End it at once, whatever is unsent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines in seconds, numbers of connections."""

    head_s: float
    read_s: float
    connections: int
    per_address: int | None = None
    trusted: Networks


class ConnectionLimiter:
    """The connections of one listener."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._held: dict[Evictable, None] = {}
        self._by_client: dict[str, int] = {}
        self._candidates: list[Evictable] = []
        self._shrinking = False
        self._stale_at = 0.0
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, connection: Evictable, now: float) -> bool:
        """Whether it may stay; who stays must `leave`."""
        client = self.client_of(connection.peer)
        if client is not None and self.is_full_for(client):
            self.metrics.connection_ended("full_for_address")
            return False
        over = len(self._held) - self.limits.connections
        if over >= self.limits.connections // BURST and not self._evict_or_look_again(now):
            self.metrics.connection_ended("full")
            return False
        if over >= 0 and not self._shrinking:
            self._shrinking = True
            asyncio.get_running_loop().call_later(_MOMENT_S, self._shrink_to_limit)
        self._held[connection] = None
        self._count(client, +1)
        return True

    def client_of(self, peer: str | None) -> str | None:
        """Whose connections are counted together; None where they are not: a trusted proxy's are many clients'."""
        return None if peer is None or self.limits.trusted.has(peer) else client_key(peer)

    def is_full_for(self, client: str, entering: int = 0) -> bool:
        """Whether it has as many connections as one may have, with those that are not let in yet."""
        most = self.limits.per_address
        return most is not None and self._by_client.get(client, 0) + entering >= most

    def leave(self, connection: Evictable) -> None:
        """It is gone; it may have been let go before."""
        if connection in self._held:
            del self._held[connection]
            self._count(self.client_of(connection.peer), -1)

    def end(self, connection: Evictable, cause: Ended) -> None:
        """End it, and free its place at once."""
        self.leave(connection)
        self.metrics.connection_ended(cause)
        connection.end(cause)

    async def run(self) -> None:
        """End what is overdue, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """End what is overdue now."""
        for connection in list(self._held):
            cause = connection.overdue(now, self.limits)
            if cause is not None:
                self.end(connection, cause)

    def malformed(self) -> None:
        """Count a request that is no HTTP."""
        self.metrics.malformed_requests.inc()

    def _shrink_to_limit(self) -> None:
        """Back to the limit, as far as there are some that may give way."""
        loop = asyncio.get_running_loop()
        while (over := len(self._held) > self.limits.connections) and self._evict_or_look_again(loop.time()):
            pass
        self._shrinking = over
        if over:
            loop.call_later(_MOMENT_S, self._shrink_to_limit)

    def _evict_or_look_again(self, now: float) -> bool:
        if now >= self._stale_at:
            self._rank(now)
        if self._evict_one(now):
            return True
        if now < self._next_look:
            return False
        self._rank(now)
        return self._evict_one(now)

    def _evict_one(self, now: float) -> bool:
        while self._candidates:
            connection = self._candidates.pop()
            if connection in self._held and connection.eviction_priority(now) is not None:
                self.end(connection, "gave_way")
                return True
        return False

    def _rank(self, now: float) -> None:
        """Find who may give way."""
        began = thread_time()
        ranked = [(priority, id(held), held) for held in self._held if (priority := held.eviction_priority(now))]
        most = max(_AT_ONCE, len(self._held) // _PART_AT_ONCE)
        self._candidates = [held for _, _, held in heapq.nsmallest(most, ranked)]
        self._candidates.reverse()
        self._stale_at = now + _STALE_S
        self._next_look = now + _SHARE * (thread_time() - began)

    def _count(self, client: str | None, by: int) -> None:
        if self.limits.per_address is None or client is None:
            return
        number = self._by_client.get(client, 0) + by
        if number:
            self._by_client[client] = number
        else:
            del self._by_client[client]
