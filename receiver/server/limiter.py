"""Bounds on open connections: deadlines for slow ones, and an eviction order once the limit is reached.

Each connection reports its own state (`Evictable`), and one task sweeps them all twice a second. No connection needs a
timer of its own, and a request that arrives in one piece costs nothing here.
"""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Final, Protocol

from receiver.addresses import Networks, client_key
from receiver.telemetry.metrics import Ended, Metrics

SLOW_S: Final = 1.0
"""A head or body that takes longer is suspect."""

FRESH_S: Final = 0.05
"""The first bytes of a new connection may be unread for this long: it is not evicted."""

BURST: Final = 8
"""The limit may be exceeded by 1/8 for a moment, until slow connections can be told from fast ones."""

_SHRINK_EVERY_S: Final = 0.02
_SWEEP_EVERY_S: Final = 0.5
_RANK_PAUSE_FACTOR: Final = 10
"""All connections are ranked again after this many times the CPU time of the last ranking: a tenth of our CPU.

CPU time and not the clock's: on a busy machine a cheap ranking takes long, and would keep new connections out.
"""

_STALE_S: Final = 1.0
_MIN_CANDIDATES: Final = 256
_CANDIDATES_FRACTION: Final = 4
"""One ranking finds this many candidates for eviction, or a quarter of all connections if that is more."""


class Evictable(Protocol):
    """A connection that the limiter may end."""

    peer: str | None

    def is_busy(self) -> bool:
        """Whether a request is being handled."""

    def eviction_priority(self, now: float) -> tuple[int, float] | None:
        """Rank, and loop time since when; the least is evicted first. None while a request is being handled."""

    def overdue(self, now: float, limits: "Limits") -> Ended | None:
        """Which deadline it has missed; None if it has missed none."""

    def end(self, cause: Ended) -> None:
        """Close it at once, with data unsent if need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines in seconds, and numbers of connections; `trusted` are the networks of our proxies."""

    head_s: float
    read_s: float
    connections: int
    per_address: int | None = None
    trusted: Networks


class ConnectionLimiter:
    """The connections of one listener."""

    def __init__(self, limits: Limits, metrics: Metrics, cpu_time: Callable[[], float] = thread_time) -> None:
        self.limits = limits
        self.metrics = metrics
        self.draining = False
        """Whether each connection is to be closed after its next answer."""
        self._cpu_time = cpu_time
        self._connections: dict[Evictable, None] = {}
        self._by_client: dict[str, int] = {}
        self._candidates: list[Evictable] = []
        self._shrinking = False
        self._stale_at = 0.0
        self._next_rank_at = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def busy(self) -> int:
        """Requests under way."""
        return sum(connection.is_busy() for connection in self._connections)

    def admit(self, connection: Evictable, now: float) -> bool:
        """Whether it may stay; if so, the caller must `remove` it when it is lost."""
        client = self.client_of(connection.peer)
        if client is not None and self.is_full_for(client):
            self.metrics.connection_ended("full_for_address")
            return False
        over = len(self._connections) - self.limits.connections
        if over >= self.limits.connections // BURST and not self._evict_or_rank_again(now):
            self.metrics.connection_ended("full")
            return False
        if over >= 0 and not self._shrinking:
            self._shrinking = True
            asyncio.get_running_loop().call_later(_SHRINK_EVERY_S, self._shrink_to_limit)
        self._connections[connection] = None
        self._count(client, +1)
        return True

    def client_of(self, peer: str | None) -> str | None:
        """Key under which a peer's connections are counted; None for a trusted proxy, which stands for many clients."""
        return None if peer is None or self.limits.trusted.has(peer) else client_key(peer)

    def is_full_for(self, client: str, handshaking: int = 0) -> bool:
        """Whether the client is at its limit, sockets before and in the TLS handshake included."""
        most = self.limits.per_address
        return most is not None and self._by_client.get(client, 0) + handshaking >= most

    def remove(self, connection: Evictable) -> None:
        """Forget a connection; nothing happens if it is unknown."""
        if connection in self._connections:
            del self._connections[connection]
            self._count(self.client_of(connection.peer), -1)

    def end(self, connection: Evictable, cause: Ended) -> None:
        """End a connection and free its slot at once."""
        self.remove(connection)
        self.metrics.connection_ended(cause)
        connection.end(cause)

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """End every connection that has missed a deadline at loop time `now`."""
        for connection in list(self._connections):
            cause = connection.overdue(now, self.limits)
            if cause is not None:
                self.end(connection, cause)

    def malformed(self) -> None:
        """Count input that is not HTTP."""
        self.metrics.malformed_requests.inc()

    def _shrink_to_limit(self) -> None:
        """Evict down to the limit; try again soon if too few may be evicted now."""
        loop = asyncio.get_running_loop()
        while (over := len(self._connections) > self.limits.connections) and self._evict_or_rank_again(loop.time()):
            pass
        self._shrinking = over
        if over:
            loop.call_later(_SHRINK_EVERY_S, self._shrink_to_limit)

    def _evict_or_rank_again(self, now: float) -> bool:
        if now >= self._stale_at:
            self._rank(now)
        if self._evict_one(now):
            return True
        if now < self._next_rank_at:
            return False
        self._rank(now)
        return self._evict_one(now)

    def _evict_one(self, now: float) -> bool:
        while self._candidates:
            connection = self._candidates.pop()
            if connection in self._connections and connection.eviction_priority(now) is not None:
                self.end(connection, "gave_way")
                return True
        return False

    def _rank(self, now: float) -> None:
        """Find the candidates for eviction, the first one last in the list."""
        began = self._cpu_time()
        ranked = [(priority, id(one), one) for one in self._connections if (priority := one.eviction_priority(now))]
        most = max(_MIN_CANDIDATES, len(self._connections) // _CANDIDATES_FRACTION)
        self._candidates = [connection for _, _, connection in heapq.nsmallest(most, ranked)]
        self._candidates.reverse()
        self._stale_at = now + _STALE_S
        self._next_rank_at = now + _RANK_PAUSE_FACTOR * (self._cpu_time() - began)

    def _count(self, client: str | None, by: int) -> None:
        if self.limits.per_address is None or client is None:
            return
        number = self._by_client.get(client, 0) + by
        if number:
            self._by_client[client] = number
        else:
            del self._by_client[client]
