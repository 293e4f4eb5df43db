"""Events in the lifecycles of messages, and the pushes that report them.

A dialect turns events into the pushes of one platform. Everything in a report follows from its event, so that an event
that is pushed twice is the same report twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol, TypeVar
from uuid import UUID

T = TypeVar("T")

Stage = Literal["interim", "delivered", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step in the lifecycle of one segment of one message.

    The provider's message id is derived from `message`; `serial` counts the events from 1. `pick`, in [0, 1),
    chooses among the provider's codes and habits. `happened_at` is aware. `country_code` is the calling code,
    `national` the number after it. `extend` is the sender's own correlation text, if it gave one.
    """

    message: UUID
    serial: int
    stage: Stage
    pick: float
    happened_at: datetime
    country_code: int
    national: str
    segment: int = 1
    segments: int = 1
    extend: str | None = None

    @property
    def msisdn(self) -> str:
        """The recipient, E.164 with `+`."""
        return f"+{self.country_code}{self.national}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One callback as it goes over the wire; `path` is the URL's path after `/callback/`.

    `message_ids` names the message of each report in the body, in order: a long message stands there several times.
    """

    path: str
    content_type: str
    body: bytes
    message_ids: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Sign(Protocol):
    """Makes the headers of a signed push, all of them. `at` is the real time: old signatures are refused."""

    def __call__(
        self, url: str, body: bytes, content_type: str, *, access: str, secret: str, at: datetime
    ) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one provider speaks.

    `report` makes one push of one or more events, at most `max_batch`. `reply` makes the push of a subscriber's answer
    to the message, or None where this subscriber can't answer. `interim` is the share of messages that it reports on
    before their end, `segmented` whether it reports each segment of a long message. `sign` signs its pushes, if it can.
    """

    report: Callable[[Sequence[Event]], Push]
    max_batch: int
    reply: Callable[[Event], Push | None] | None = None
    interim: float = 0.0
    segmented: bool = False
    sign: Sign | None = None


REPLIES: Final = ("TD", "STOP", "Y", "1", "收到", "退订", "OK, thank you", "明天 10:00 可以吗?")
"""Answers of subscribers."""


def choose(table: Sequence[tuple[T, int]], pick: float) -> T:
    """The entry of a table of (entry, weight) that `pick`, in [0, 1), falls on."""
    left = pick * sum(weight for _, weight in table)
    for entry, weight in table:
        left -= weight
        if left < 0:
            return entry
    return table[-1][0]
