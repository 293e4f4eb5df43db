"""The state of a message: the merge of its reports, independent of their order and of repetitions.

Design, section 3. `sms_data.merge_parts` and `sms_data.message_state` in the migrations are the same rule in SQL;
a property test compares the two.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from receiver.report import FINAL, MAX_SEGMENTS, RANK, DeliveryReport, Reason, Status

WHOLE_MESSAGE: Final = 0
"""The key of reports without a segment number: they apply to every segment of the message."""


SUBMITTED: Final = -1
"""The key of the platform's answer to the submission: it applies to every segment too, but is no report."""


class SegmentState(NamedTuple):
    """The greatest report about one segment; compared by rank, time, sequence and code, in the order of the fields.

    `happened` is UTC in ISO 8601, which sorts in order of time, or the empty string, which sorts first; a sequence is
    appended (`#0002`) and orders reports of the same time. `status` and `reason` break ties: the meaning of a code may
    differ between two versions of the catalogue.
    """

    rank: int
    happened: str
    code: str
    status: str
    reason: str


Parts = Mapping[int, SegmentState]
"""By segment number, from 1, or WHOLE_MESSAGE, or SUBMITTED."""


class MessageState(NamedTuple):
    """The state of a message. `segments` is the greatest number of segments that any report gave."""

    status: Status
    reason: Reason | None
    code: str
    happened_at: datetime | None
    segments: int
    segments_reported: int


def segment_state(report: DeliveryReport) -> tuple[int, SegmentState]:
    """The segment number of a report, or WHOLE_MESSAGE, and its state."""
    happened = f"{report.happened}#{report.sequence:04}" if report.sequence else report.happened
    state = SegmentState(RANK[report.status], happened, report.code, report.status.value, report.reason or "")
    return report.segment or WHOLE_MESSAGE, state


def merge_parts(*several: Parts) -> dict[int, SegmentState]:
    """The greatest state of each segment: associative, commutative and idempotent."""
    merged: dict[int, SegmentState] = {}
    for parts in several:
        for segment, state in parts.items():
            known = merged.get(segment)
            if known is None or state > known:
                merged[segment] = state
    return merged


def message_state(parts: Parts, segments: int | None) -> MessageState:
    """The state of a message of so many segments, from at least one report or its submission.

    Any segment's final failure makes the message failed; it is delivered once every segment is; until then it is
    in flight, and a delivered segment counts as `enroute`.
    """
    total = min(max(segments or 1, *parts), MAX_SEGMENTS)
    if total == 1 and len(parts) == 1:  # nearly every message, on its first report
        ((segment, state),) = parts.items()
        return _state(state, segments=1, reported=int(segment != SUBMITTED))
    of_all = [state for state in (parts.get(WHOLE_MESSAGE), parts.get(SUBMITTED)) if state]
    of_each = ([parts[n], *of_all] if n in parts else of_all for n in range(1, total + 1))
    states = [max(known) for known in of_each if known]
    state = max(_failures(states)) if _failures(states) else max(_unless_complete(states, total))
    reported = total if WHOLE_MESSAGE in parts else sum(n in parts for n in range(1, total + 1))
    return _state(state, segments=total, reported=reported)


def _state(state: SegmentState, *, segments: int, reported: int) -> MessageState:
    happened, _, _ = state.happened.partition("#")
    return MessageState(
        status=Status(state.status),
        reason=Reason(state.reason) if state.reason else None,
        code=state.code,
        happened_at=datetime.fromisoformat(happened) if happened else None,
        segments=segments,
        segments_reported=reported,
    )


def _failures(states: Iterable[SegmentState]) -> list[SegmentState]:
    return [state for state in states if state.status in FINAL and state.status != Status.DELIVERED]


def _unless_complete(states: list[SegmentState], total: int) -> list[SegmentState]:
    """The states unchanged once every segment is delivered; until then with `enroute` in place of `delivered`."""
    if len(states) == total and all(state.status == Status.DELIVERED for state in states):
        return states
    return [
        state._replace(rank=RANK[Status.ENROUTE], status=Status.ENROUTE.value)
        if state.status == Status.DELIVERED
        else state
        for state in states
    ]
