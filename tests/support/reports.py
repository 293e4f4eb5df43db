"""Reports made by hand and at random, and what `receiver.state` makes of a set of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

from hypothesis import strategies as st

from receiver.callback import Callback
from receiver.report import DeliveryReport, ProviderName, Reason, Status
from receiver.state import MessageState, Part, merge_parts, message_state, part_of
from receiver.store.job import Job

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


def report(code: str = "DELIVRD", **changes: Any) -> DeliveryReport:
    """A report with this code, of what the code means unless told otherwise."""
    status, reason = MEANINGS.get(code, (Status.UNKNOWN, None))
    given = {"provider": PROVIDER, "message_id": "m-1", "code": code, "status": status, "reason": reason, "raw": "{}"}
    return DeliveryReport(**(given | changes))


def callback(received_at: datetime = NOON, body: bytes = b"by hand") -> Callback:
    return Callback(
        path="huawei/report",
        body=body,
        content_type=None,
        received_at=received_at,
        remote_addr="127.0.0.1",
        request_id=f"{next(_numbers):016x}",
    )


def job(*reports: DeliveryReport, received_at: datetime = NOON, body: bytes = b"by hand", **changes: Any) -> Job:
    """A callback with these reports."""
    given = {"callback": callback(received_at, body), "provider": PROVIDER, "reports": reports}
    return Job(**(given | changes))


def parts_of(reports: Iterable[DeliveryReport]) -> dict[int, Part]:
    return merge_parts(*({segment: part} for segment, part in map(part_of, reports)))


def state_of(reports: Sequence[DeliveryReport]) -> MessageState:
    """The state of one message that has these reports."""
    said = max((one.segments for one in reports if one.segments), default=None)
    return message_state(parts_of(reports), said)


def distinct(reports: Iterable[DeliveryReport]) -> list[DeliveryReport]:
    """Each identity once: reports made at random may have the same one and differ in what their code means."""
    return list({one.report_id: one for one in reports}.values())


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

_times = st.one_of(
    st.none(),
    st.sampled_from(
        [
            NOON,
            NOON + timedelta(microseconds=1),
            NOON + timedelta(seconds=1),
            NOON.astimezone(timezone(timedelta(hours=8))),
            NOON.replace(year=1),
            NOON.replace(year=9999),
        ]
    ),
)
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
    )


some_reports = st.lists(some_report(), min_size=1, max_size=8)
