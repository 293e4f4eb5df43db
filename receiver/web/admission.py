"""Admission control: how many requests are worked on at a time, and the memory that their large bodies take."""

from dataclasses import dataclass
from typing import Final, Self

from receiver.providers.base import Verdict
from receiver.web.answers import HttpRefusal

SMALL: Final = 64 * 1024
"""Bytes of each body that are let in whatever the others take: a push is smaller, but for the largest batches."""


@dataclass(slots=True)
class AdmissionControl:
    """For so many requests, and for so many bytes of bodies beyond what is `SMALL` of each."""

    most: int
    most_bytes: int
    taken: int = 0
    taken_bytes: int = 0


class RequestSlot:
    """What one request takes of the admission, given back at the end of the block."""

    __slots__ = ("_bytes", "_room", "_works")

    def __init__(self, admission: AdmissionControl) -> None:
        self._room = admission
        self._bytes = 0
        self._works = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.taken_bytes -= self._bytes
        self._room.taken -= self._works

    def reserve_body(self, size: int) -> None:
        """Its body is so long by now. Raises HttpRefusal."""
        more = size - SMALL - self._bytes
        if more > 0:
            if self._room.taken_bytes + more > self._room.most_bytes:
                raise HttpRefusal(Verdict.BUSY, "too many large requests at a time; try again later")
            self._bytes += more
            self._room.taken_bytes += more

    def work(self) -> None:
        """Its body is there. Raises HttpRefusal."""
        if self._room.taken >= self._room.most:
            raise HttpRefusal(Verdict.BUSY, "too many requests at a time; try again later")
        self._works = True
        self._room.taken += 1
