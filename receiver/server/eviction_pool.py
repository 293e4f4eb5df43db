"""A bounded set of connections that are cheap to make and easy to lose: one more evicts another.

The oldest member past its grace time goes first. If there is none, the client with the most members loses its oldest:
a flood from few addresses evicts itself. The order of the two rules protects an honest platform, which is one address
too, and may have more connections than each of a thousand strangers.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

Member = TypeVar("Member", bound=Hashable)


class _Entry(NamedTuple):
    client: Hashable
    since: float


class EvictionPool(Generic[Member]):
    """At most `most` members in order of arrival, each of a client. Every operation is O(1)."""

    def __init__(self, most: int, grace_s: float) -> None:
        self._most = most
        self._grace_s = grace_s
        self._entries: dict[Member, _Entry] = {}
        self._by_client: dict[Hashable, dict[Member, None]] = {}
        self._by_number: dict[int, dict[Hashable, None]] = {}
        self._greatest = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, member: object) -> bool:
        return member in self._entries

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._entries))

    def number_of(self, client: Hashable) -> int:
        """Number of this client's members."""
        return len(self._by_client.get(client, ()))

    def add(self, member: Member, client: Hashable, now: float) -> Member | None:
        """Add a member; returns the one that was evicted for it, if any."""
        evicted = self._choose_evicted(now) if len(self) >= self._most else None
        if evicted is not None:
            self.discard(evicted)
        self._entries[member] = _Entry(client, now)
        members = self._by_client.setdefault(client, {})
        members[member] = None
        self._renumber(client, len(members) - 1, len(members))
        return evicted

    def discard(self, member: Member) -> None:
        """Remove a member; nothing happens if it is none."""
        if (entry := self._entries.pop(member, None)) is None:
            return
        members = self._by_client[entry.client]
        del members[member]
        self._renumber(entry.client, len(members) + 1, len(members))
        if not members:
            del self._by_client[entry.client]

    def oldest(self) -> tuple[Member, float] | None:
        """The oldest member and the time of its arrival."""
        return next(((member, entry.since) for member, entry in self._entries.items()), None)

    def oldest_of(self, client: Hashable) -> Member | None:
        """The oldest member of one client."""
        return next(iter(self._by_client.get(client, ())), None)

    def _choose_evicted(self, now: float) -> Member | None:
        oldest = self.oldest()
        if oldest is None or now - oldest[1] >= self._grace_s:
            return oldest and oldest[0]
        return self.oldest_of(next(iter(self._by_number[self._greatest])))

    def _renumber(self, client: Hashable, before: int, after: int) -> None:
        """Move a client to its new count, and keep `_greatest` true: counts change by one at a time."""
        if before:
            del self._by_number[before][client]
            if not self._by_number[before]:
                del self._by_number[before]
        if after:
            self._by_number.setdefault(after, {})[client] = None
        if after > self._greatest or self._greatest not in self._by_number:
            self._greatest = after
