"""A spool in memory, with the faults of a disk on request."""

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from receiver.inbound import Inbound
from receiver.store.spool import SpoolError
from receiver.store.spool_errors import SpoolFull
from receiver.store.spool_file import Depth


@dataclass(slots=True)
class FakeSpool:
    """`put_s` is how long the disk takes; `broken` says why nothing can be read or changed."""

    has_room: bool = True
    has_room_for_rejected: bool = True
    put_s: float = 0.0
    broken: str | None = None
    kept: dict[int, Inbound] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    """How many callbacks each look at the spool asked for."""

    _number: int = 0

    @property
    def depth(self) -> Depth:
        oldest = min((one.received_at for one in self.kept.values()), default=None)
        return Depth(len(self.kept), oldest, sum(len(one.body) for one in self.kept.values()))

    async def put(self, inbound: Inbound) -> None:
        await asyncio.sleep(self.put_s)
        if not self.has_room:
            raise SpoolFull("the spool is full")
        self.add(inbound)

    def add(self, *inbounds: Inbound) -> list[int]:
        """The numbers that they get."""
        for inbound in inbounds:
            self._number += 1
            self.kept[self._number] = inbound
        return list(range(self._number - len(inbounds) + 1, self._number + 1))

    async def oldest(self, limit: int, after: int = 0, exclude: Container[int] = ()) -> list[tuple[int, Inbound]]:
        self._check()
        self.read.append(limit)
        await asyncio.sleep(0)
        return [(number, one) for number, one in self.kept.items() if number > after and number not in exclude][:limit]

    async def remove(self, numbers: Sequence[int]) -> None:
        self._check()
        for number in numbers:
            self.kept.pop(number, None)

    def _check(self) -> None:
        if self.broken is not None:
            raise SpoolError(self.broken)
