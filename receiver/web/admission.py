"""Admission control: how many requests are worked on at a time, and the memory that their large bodies take."""

from dataclasses import dataclass
from typing import Self

from receiver.providers.base import Verdict
from receiver.web.answers import HttpRefusal
from receiver.web.body import SMALL_BYTES


@dataclass(slots=True)
class AdmissionControl:
    """For so many requests, and for so many bytes of bodies beyond what is `SMALL_BYTES` of each."""

    most: int
    most_bytes: int
    taken: int = 0
    taken_bytes: int = 0


class RequestSlot:
    """What one request takes of the admission, given back at the end of the block."""

    __slots__ = ("_admission", "_bytes", "_works")

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission
        self._bytes = 0
        self._works = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.taken_bytes -= self._bytes
        self._admission.taken -= self._works

    def reserve_body(self, size: int) -> None:
        """Its body is so long by now. Raises HttpRefusal."""
        more = size - SMALL_BYTES - self._bytes
        if more > 0:
            if self._admission.taken_bytes + more > self._admission.most_bytes:
                raise HttpRefusal(Verdict.BUSY, "too many large requests at a time; try again later")
            self._bytes += more
            self._admission.taken_bytes += more

    def work(self) -> None:
        """Its body is there. Raises HttpRefusal."""
        if self._admission.taken >= self._admission.most:
            raise HttpRefusal(Verdict.BUSY, "too many requests at a time; try again later")
        self._works = True
        self._admission.taken += 1
