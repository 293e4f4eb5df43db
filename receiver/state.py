"""The state of a message: the merge of its reports, whatever their order and however often they come.

Design, section 3. `sms_data.merge_parts` and `sms_data.message_state` in the migrations are the same rule in SQL;
a property test holds the two together.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from receiver.report import FINAL, MAX_SEGMENTS, RANK, DeliveryReport, Reason, Status

WHOLE_MESSAGE: Final = 0
"""The key of reports that name no segment: they speak for every segment of the message."""


SUBMITTED: Final = -1
"""The key of what the platform answered to the submission: it speaks for every segment too, but is no report."""


class SegmentState(NamedTuple):
    """The greatest report about one segment. Tuples of this shape compare by (rank, happened_at, sequence, code).

    `happened` is UTC in ISO 8601, or the empty string: texts of this form sort as their times do, and no time
    sorts before every time. A sequence stands behind it (`#0002`) and sorts within the same time alone. `status` and
    `reason` break ties, for a code may have changed its meaning between two versions of the catalogue.
    """

    rank: int
    happened: str
    code: str
    status: str
    reason: str


Parts = Mapping[int, SegmentState]
"""By segment number, from 1; under WHOLE_MESSAGE the reports without one, under SUBMITTED what the platform said when
the message was handed in.
"""


class MessageState(NamedTuple):
    """What became of a message. `segments` is how many it has as far as anybody said."""

    status: Status
    reason: Reason | None
    code: str
    happened_at: datetime | None
    segments: int
    segments_reported: int


def segment_state(report: DeliveryReport) -> tuple[int, SegmentState]:
    """The segment a report speaks about, and what it says."""
    happened = f"{report.happened}#{report.sequence:04}" if report.sequence else report.happened
    part = SegmentState(RANK[report.status], happened, report.code, report.status.value, report.reason or "")
    return report.segment or WHOLE_MESSAGE, part


def merge_parts(*several: Parts) -> dict[int, SegmentState]:
    """For each segment the greatest of what is known: associative, commutative and idempotent."""
    merged: dict[int, SegmentState] = {}
    for parts in several:
        for segment, part in parts.items():
            known = merged.get(segment)
            if known is None or part > known:
                merged[segment] = part
    return merged


def message_state(parts: Parts, segments: int | None) -> MessageState:
    """The state of a message of so many segments, from at least one report or its submission.

    Any segment's final failure makes the message failed; it is delivered once every segment is; until then it is
    in flight, and a delivered segment counts as `enroute`.
    """
    total = min(max(segments or 1, *parts), MAX_SEGMENTS)
    if total == 1 and len(parts) == 1:  # nearly every message, on its first report
        ((segment, part),) = parts.items()
        return _state(part, segments=1, reported=int(segment != SUBMITTED))
    of_all = [part for part in (parts.get(WHOLE_MESSAGE), parts.get(SUBMITTED)) if part]
    of_each = ([parts[n], *of_all] if n in parts else of_all for n in range(1, total + 1))
    states = [max(known) for known in of_each if known]
    part = max(_failures(states)) if _failures(states) else max(_unless_complete(states, total))
    reported = total if WHOLE_MESSAGE in parts else sum(n in parts for n in range(1, total + 1))
    return _state(part, segments=total, reported=reported)


def _state(part: SegmentState, *, segments: int, reported: int) -> MessageState:
    happened, _, _ = part.happened.partition("#")
    return MessageState(
        status=Status(part.status),
        reason=Reason(part.reason) if part.reason else None,
        code=part.code,
        happened_at=datetime.fromisoformat(happened) if happened else None,
        segments=segments,
        segments_reported=reported,
    )


def _failures(states: Iterable[SegmentState]) -> list[SegmentState]:
    return [part for part in states if part.status in FINAL and part.status != Status.DELIVERED]


def _unless_complete(states: list[SegmentState], total: int) -> list[SegmentState]:
    """The states as they are once every segment is delivered; before that, delivered ones count as `enroute`."""
    if len(states) == total and all(part.status == Status.DELIVERED for part in states):
        return states
    return [
        part._replace(rank=RANK[Status.ENROUTE], status=Status.ENROUTE.value)
        if part.status == Status.DELIVERED
        else part
        for part in states
    ]
