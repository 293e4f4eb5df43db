"""Reports and submissions made by hand and at random, and what `receiver.state` makes of a set of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import asyncpg
from hypothesis import strategies as st

from receiver.inbound import Inbound
from receiver.report import RANK, DeliveryReport, ProviderName, Reason, RowId, Status, Submission, delivery_report
from receiver.state import SUBMITTED, MessageState, SegmentState, merge_parts, message_state, segment_state
from receiver.store import postgres
from receiver.store.job import Job, job_of

PROVIDER = ProviderName("huawei")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

_numbers = count()

MEANINGS: dict[str, tuple[Status, Reason | None]] = {
    "DELIVRD": (Status.DELIVERED, None),
    "ACCEPTD": (Status.ACCEPTED, None),
    "ENROUTE": (Status.ENROUTE, None),
    "EXPIRED": (Status.EXPIRED, Reason.NO_REPORT),
    "DELETED": (Status.DELETED, Reason.BLOCKED),
    "UNDELIV": (Status.UNDELIVERABLE, Reason.UNREACHABLE),
    "MK:0001": (Status.UNDELIVERABLE, Reason.NUMBER_UNAVAILABLE),
    "REJECTD": (Status.REJECTED, Reason.BLOCKLISTED),
    "-3": (Status.UNKNOWN, None),
    "NEVER-SEEN": (Status.UNKNOWN, None),
}
ANSWERS: dict[str, tuple[Status, Reason | None]] = {
    "000000": (Status.ENROUTE, None),
    "E200028": (Status.REJECTED, Reason.CONTENT_REJECTED),
    "E200041": (Status.REJECTED, Reason.DUPLICATE_RECIPIENT),
}
"""What a platform answers to a submission: one code takes the message, every other refuses it."""

Row = DeliveryReport | Submission


def report(code: str = "DELIVRD", **changes: Any) -> DeliveryReport:
    """A report with this code, of what the code means unless told otherwise."""
    status, reason = MEANINGS.get(code, (Status.UNKNOWN, None))
    given = {"provider": PROVIDER, "message_id": "m-1", "code": code, "status": status, "reason": reason, "raw": "{}"}
    return delivery_report(**(given | changes))


def submission(code: str = "000000", **changes: Any) -> Submission:
    """A submission that was answered with this code."""
    status, reason = ANSWERS[code]
    given = {"provider": PROVIDER, "message_id": "m-1", "code": code, "status": status, "reason": reason, "raw": "{}"}
    return Submission(**(given | {"submitted_at": NOON} | changes))


def callback(received_at: datetime = NOON, body: bytes = b"by hand") -> Inbound:
    return Inbound(
        path="huawei/report",
        body=body,
        content_type=None,
        received_at=received_at,
        remote_addr="127.0.0.1",
        request_id=f"{next(_numbers):016x}",
    )


def job(*rows: Row, received_at: datetime = NOON, body: bytes = b"by hand", **changes: Any) -> Job:
    """A callback with these reports and submissions."""
    given = {
        "callback": callback(received_at, body),
        "provider": PROVIDER,
        "reports": [row for row in rows if isinstance(row, DeliveryReport)],
        "submissions": [row for row in rows if isinstance(row, Submission)],
    }
    return job_of(**(given | changes))


def parts_of(rows: Iterable[Row]) -> dict[int, SegmentState]:
    return merge_parts(*map(_parts, rows))


def _parts(row: Row) -> dict[int, SegmentState]:
    """Written apart from the store's: what the answer to a submission says stands under a key of its own."""
    if isinstance(row, DeliveryReport):
        segment, part = segment_state(row)
        return {segment: part}
    submitted = row.submitted_at.astimezone(UTC).isoformat() if row.submitted_at else ""
    return {SUBMITTED: SegmentState(RANK[row.status], submitted, row.code, row.status.value, row.reason or "")}


def state_of(rows: Sequence[Row]) -> MessageState:
    """The state of one message that has these reports and submissions."""
    said = max((one.segments for one in rows if one.segments), default=None)
    return message_state(parts_of(rows), said)


def row_id(row: Row) -> RowId:
    return row.report_id if isinstance(row, DeliveryReport) else row.submission_id


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Each identity once: rows made at random may have the same one and differ in what their code means."""
    return list({row_id(one): one for one in rows}.values())


TRICKY_CODES = (
    "a",
    "B",
    "b",
    "Z",
    "_",
    "é",
    "É",
    "ß",
    "\uff5a",
    "中",
    "😀",
    "\ufb00",
    "MA:0001",
    "ma:0001",
    "2:24",
    "24",
)
"""Codes that a dictionary sorts in another order than their bytes; one is above U+FFFF."""

_moments = st.sampled_from(
    [
        NOON,
        NOON + timedelta(microseconds=1),
        NOON + timedelta(seconds=1),
        NOON.astimezone(timezone(timedelta(hours=8))),
        NOON.replace(year=1),
        NOON.replace(year=9999),
    ]
)
_times = st.none() | _moments
_codes = st.one_of(st.sampled_from(sorted(MEANINGS)), st.sampled_from(TRICKY_CODES))
_meanings = st.sampled_from(sorted(set(MEANINGS.values()), key=str))


@st.composite
def some_report(draw: st.DrawFn) -> DeliveryReport:
    """Any report about the message m-1. A code may mean something else than it did, as after a new catalogue."""
    code = draw(_codes)
    status, reason = MEANINGS[code] if code in MEANINGS and draw(st.booleans()) else draw(_meanings)
    return report(
        code,
        status=status,
        reason=reason,
        segment=draw(st.one_of(st.none(), st.integers(1, 4), st.just(255))),
        segments=draw(st.one_of(st.none(), st.integers(1, 5), st.just(255))),
        happened_at=draw(_times),
        sequence=draw(st.sampled_from([0, 0, 1, 2, 10, 9_999])),
    )


some_reports = st.lists(some_report(), min_size=1, max_size=8)


@st.composite
def some_submission(draw: st.DrawFn) -> Submission:
    """Any submission of the message m-1 with an answer that names its time."""
    return submission(
        draw(st.sampled_from(sorted(ANSWERS))),
        segments=draw(st.one_of(st.none(), st.integers(1, 5))),
        submitted_at=draw(_moments),
    )


some_rows = st.lists(some_report() | some_submission(), min_size=1, max_size=8)
"""Reports with submissions among them."""


async def store(sql: "asyncpg.Connection[asyncpg.Record]", *jobs: Job) -> None:
    """Write the jobs in one transaction, as the service does, with the partitions that they need."""
    await postgres.create_partitions(postgres.Session(sql), jobs)
    await postgres.write(postgres.Session(sql), jobs, 20.0)
