"""So many at most of what is cheap to make and easy to lose: for one more, somebody else gives way.

Who has had time enough goes first, the oldest of them. While nobody has, it is the oldest of the client that has most:
a flood from few addresses pushes out itself. The first rule comes first because an honest platform is one address too,
and may well have more connections than each of a thousand strangers.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

Member = TypeVar("Member", bound=Hashable)


class _Entry(NamedTuple):
    client: Hashable
    since: float


class EvictionPool(Generic[Member]):
    """Members in the order in which they came, each of a client. Every operation takes the same time at any size."""

    def __init__(self, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
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
        """How many members are this client's."""
        return len(self._by_client.get(client, ()))

    def add(self, member: Member, client: Hashable, now: float) -> Member | None:
        """Take it in; who gives way for it, and is no member any more."""
        evicted = self._first_to_go(now) if len(self) >= self._most else None
        if evicted is not None:
            self.discard(evicted)
        self._entries[member] = _Entry(client, now)
        members = self._by_client.setdefault(client, {})
        members[member] = None
        self._renumber(client, len(members) - 1, len(members))
        return evicted

    def discard(self, member: Member) -> None:
        """It is gone; it may be no member any more."""
        if (entry := self._entries.pop(member, None)) is None:
            return
        members = self._by_client[entry.client]
        del members[member]
        self._renumber(entry.client, len(members) + 1, len(members))
        if not members:
            del self._by_client[entry.client]

    def oldest(self) -> tuple[Member, float] | None:
        """Who came first, and when."""
        return next(((member, entry.since) for member, entry in self._entries.items()), None)

    def oldest_of(self, client: Hashable) -> Member | None:
        """The same of one client."""
        return next(iter(self._by_client.get(client, ())), None)

    def _first_to_go(self, now: float) -> Member | None:
        oldest = self.oldest()
        if oldest is None or now - oldest[1] >= self._patience_s:
            return oldest and oldest[0]
        return self.oldest_of(next(iter(self._by_number[self._greatest])))

    def _renumber(self, client: Hashable, before: int, after: int) -> None:
        """Numbers change by one: the greatest is never further away than that."""
        if before:
            del self._by_number[before][client]
            if not self._by_number[before]:
                del self._by_number[before]
        if after:
            self._by_number.setdefault(after, {})[client] = None
        if after > self._greatest or self._greatest not in self._by_number:
            self._greatest = after
