"""The last rows that a process has kept, for people that watch: `/live/events`, its page, and `receiver tail`.

The way of a callback pays for one append of references; masking and formatting wait until somebody looks.
"""

import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple, TypeVar
from uuid import uuid4

from receiver.report import DeliveryReport, Reply, Submission
from receiver.store.job import KeptIn
from receiver.telemetry.masking import mask_msisdn, scrub, scrub_error
from receiver.telemetry.redaction import is_plain
from receiver.telemetry.visible import visible

SIZE: Final = 2_000
"""Rows that a process remembers; their texts are short, and no body is kept alive by them."""

_FIELDS: Final = (
    *("provider", "status", "reason", "recipient", "country", "code", "message_id", "segment", "segments"),
)
_of_report: Final = itemgetter(*map(DeliveryReport._fields.index, _FIELDS))

T = TypeVar("T")

Position = Mapping[str, int]
"""The number of the last row that a reader has seen, by the ring's name."""


class Event(NamedTuple):
    """One kept row: `event` is its name in the log. Numbers are masked, and no character of a text is obeyed.

    `id` is unlike every other's, after a restart too: its ring's name and its number there. `time` is the callback's
    arrival, ISO 8601 in UTC; `lag_s` the seconds from the platform's own time to it. `recipient` of a reply is its
    sender, the subscriber. `error` says why a payload was rejected.
    """

    id: str
    event: str
    time: str
    provider: str
    status: str | None = None
    reason: str | None = None
    recipient: str | None = None
    country: str | None = None
    code: str | None = None
    message_id: str | None = None
    segment: int | None = None
    segments: int | None = None
    lag_s: float | None = None
    kept_in: str = KeptIn.DATABASE
    error: str | None = None

    def is_after(self, position: "Position") -> bool:
        """Whether it was kept after the position, as far as that names its ring."""
        name, _, number = self.id.partition(":")
        return int(number) > position.get(name, 0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without keys that have no value."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value is not None}


class Events(NamedTuple):
    """The oldest comes first. `missed` more were due, and are gone or left out; `position` is for the next look."""

    events: Sequence[Event]
    missed: int
    position: Position


class Recent:
    """A bounded ring. `name` is unlike every other's, those of the process before it among them."""

    def __init__(self, size: int = SIZE) -> None:
        self.name = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=size)
        self._number = 0

    def report(self, event: str, report: DeliveryReport, received_at: datetime, lag_s: float | None) -> None:
        """Remember a report; called for each, so it does next to nothing."""
        self._number += 1
        self._rows.append((event, received_at, lag_s, None, _of_report(report)))

    def submission(self, event: str, one: Submission, received_at: datetime) -> None:
        """Remember a platform's answer to a submission."""
        fields = one.provider, one.status, one.reason, one.recipient, one.country, one.code, one.message_id
        self._add(event, received_at, None, *fields, None, one.segments)

    def reply(self, event: str, one: Reply, received_at: datetime) -> None:
        """Remember a mobile-originated message, without its text."""
        self._add(event, received_at, None, one.provider, None, None, one.sender, None, None, one.message_id)

    def rejected(self, provider: str, error: str, received_at: datetime) -> None:
        """Remember a body, or an item of one, that was not understood."""
        self._add("payload.rejected", received_at, error, provider)

    def _add(self, event: str, received_at: datetime, error: str | None, *fields: object) -> None:
        self._number += 1
        self._rows.append((event, received_at, None, error, fields))

    def after(self, position: Position | None, most: int) -> Events:
        """At most so many of the rows after the position. Without one, the last rows, and none counts as missed.

        A ring that the position does not name began after it: all of its rows are due.
        """
        number, length = self._number, len(self._rows)
        due = min(most, length) if position is None else number - min(position.get(self.name, 0), number)
        there = min(due, length)
        rows = list(islice(self._rows, length - there, None))
        chosen = [_event(f"{self.name}:{number - there + at + 1}", *rows[at]) for at in evenly(range(there), most)]
        return Events(chosen, due - len(chosen), {self.name: number})


def together(several: Iterable[Events]) -> Events:
    """Those of several processes, in order of arrival."""
    pages = list(several)
    events = sorted((event for page in pages for event in page.events), key=attrgetter("time"))
    position = {name: number for page in pages for name, number in page.position.items()}
    return Events(events, sum(page.missed for page in pages), position)


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of the items, at even distances, the last one among them."""
    number = len(items)
    return items if number <= most else [items[(at + 1) * number // most - 1] for at in range(most)]


def _event(
    event_id: str, event: str, received_at: datetime, lag_s: float | None, error: str | None, fields: tuple[Any, ...]
) -> Event:
    padded = (*fields, *(None,) * (len(_FIELDS) - len(fields)))
    provider, status, reason, recipient, country, code, message_id, segment, segments = padded
    return Event(
        id=event_id,
        event=event,
        time=received_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        provider=provider,
        status=status and status.value,
        reason=reason and reason.value,
        recipient=recipient and visible(mask_msisdn(recipient) or ""),
        country=country,
        code=code and visible(code if is_plain("code", code) else scrub(code)),
        message_id=message_id and visible(message_id),
        segment=segment,
        segments=segments,
        lag_s=lag_s,
        kept_in=KeptIn.SPOOL if event.endswith(".spooled") else KeptIn.DATABASE,
        error=error and visible(scrub_error(error)),
    )
