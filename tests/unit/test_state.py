"""The state of a message: no order, repetition or interleaving of its reports changes it."""

from datetime import UTC, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.reports import (
    ANSWERS,
    NOON,
    Row,
    parts_of,
    report,
    some_report,
    some_reports,
    some_rows,
    state_of,
    submission,
)

from receiver.report import FINAL, RANK, DeliveryReport, Reason, Status
from receiver.state import WHOLE_MESSAGE, merge_parts, message_state, segment_state

LATER = NOON + timedelta(minutes=1)
SOON = NOON + timedelta(microseconds=1)


@given(some_rows, st.data())
def test_any_order_and_any_repetition_gives_the_same_state(rows, data):
    repeated = rows + data.draw(st.lists(st.sampled_from(rows), max_size=5))
    shuffled = data.draw(st.permutations(repeated))
    assert state_of(shuffled) == state_of(rows)


@given(some_rows, st.data())
def test_any_interleaving_of_flushes_gives_the_same_state(rows, data):
    """What is known of a message is merged group by group: the groups do not matter."""
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(shuffled)))
    one, other = parts_of(shuffled[:cut]), parts_of(shuffled[cut:])
    assert merge_parts(one, other) == merge_parts(other, one) == parts_of(rows)


@given(some_rows, some_rows, some_rows)
def test_the_merge_is_associative_commutative_and_idempotent(one, other, third):
    a, b, c = parts_of(one), parts_of(other), parts_of(third)
    assert merge_parts(merge_parts(a, b), c) == merge_parts(a, merge_parts(b, c)) == merge_parts(a, b, c)
    assert merge_parts(a, b) == merge_parts(b, a)
    assert merge_parts(a, a) == merge_parts(a) == merge_parts(a, {}) == a


@given(some_rows, some_report())
def test_what_is_delivered_stays_so_and_what_failed_gives_way_to_a_delivery_alone(reports, late):
    """Unless the late report says that there are more segments: then the message was not whole before."""
    before, after = state_of(reports), state_of([*reports, late])
    assume(after.segments == before.segments)
    if before.status is Status.DELIVERED:
        assert after.status is Status.DELIVERED
    elif before.status in FINAL and late.status is not Status.DELIVERED:
        assert after.status in FINAL


@given(some_reports)
def test_the_state_is_what_some_report_said(reports):
    state = state_of(reports)
    decisive = [one for one in reports if (one.code, one.happened_at) == (state.code, state.happened_at)]
    said = {one.status for one in decisive}
    assert state.status in said or (state.status is Status.ENROUTE and Status.DELIVERED in said)
    assert 1 <= state.segments_reported <= state.segments <= 255


@given(some_rows)
def test_a_submission_tells_a_state_and_counts_as_no_report(rows):
    reports = [row for row in rows if row.code not in ANSWERS]
    state = state_of(rows)
    named = {one.segment for one in reports}
    assert state.segments_reported == (state.segments if None in named else len(named))
    assert (state.status, state.code) in {(row.status, row.code) for row in rows} or state.status is Status.ENROUTE


@given(some_report())
def test_the_time_survives_in_utc(one):
    assert state_of([one]).happened_at == one.happened_at
    assert one.happened_at is None or state_of([one]).happened_at.tzinfo is UTC


def seg(code: str, segment: int, segments: int | None = 2, **changes: object) -> DeliveryReport:
    return report(code, segment=segment, segments=segments, **changes)


def enroute(code: str, sequence: int, **changes: object) -> DeliveryReport:
    """A state whose order its platform declares."""
    return report(code, status=Status.ENROUTE, sequence=sequence, **changes)


SENT, REFUSED, TAKEN_LATER = submission(), submission("E200028"), submission(submitted_at=LATER)
EXPIRED_BY_PLATFORM = report("EXPIRED", reported_by="platform")
"""It has no sequence and no time (vendor notes): no report came from the carrier within 72 hours."""

STORIES: dict[str, tuple[list[Row], dict[str, object]]] = {
    "a late `sent` does not overwrite delivered": (
        [report("DELIVRD", happened_at=NOON), report("ACCEPTD", happened_at=LATER)],
        {"status": Status.DELIVERED, "code": "DELIVRD", "happened_at": NOON},
    ),
    "nor a late expiry by the platform": (
        [report("DELIVRD", happened_at=NOON), report("EXPIRED", happened_at=LATER)],
        {"status": Status.DELIVERED},
    ),
    # The spelling of the code decided: a message that was `sent` stayed `waiting` for ever.
    "states without a time are in their platform's order": (
        [enroute("waiting", 0), enroute("sent", 1)],
        {"code": "sent", "happened_at": None},
    ),
    "all of them": ([enroute("waiting", 0), enroute("sent", 1), enroute("buffered", 2)], {"code": "buffered"}),
    "a sequence decides within the same time": (
        [enroute("b", 1, happened_at=NOON), enroute("a", 2, happened_at=NOON)],
        {"code": "a", "happened_at": NOON},
    ),
    "and no later": ([enroute("b", 2, happened_at=NOON), enroute("a", 1, happened_at=SOON)], {"code": "a"}),
    "no time is before every time": ([enroute("later", 9_999), enroute("b", 1, happened_at=NOON)], {"code": "b"}),
    "ten comes after nine": ([enroute("b", 9), enroute("a", 10)], {"code": "a"}),
    "the failure of one segment is the message's": (
        [seg("UNDELIV", 1, happened_at=NOON), seg("DELIVRD", 2, happened_at=LATER)],
        {"status": Status.UNDELIVERABLE, "reason": Reason.UNREACHABLE, "code": "UNDELIV", "segments_reported": 2},
    ),
    "one segment of three": ([seg("DELIVRD", 3, 3)], {"status": Status.ENROUTE, "segments_reported": 1}),
    "two of three": ([seg("DELIVRD", n, 3) for n in (3, 1)], {"status": Status.ENROUTE, "segments_reported": 2}),
    "all three": ([seg("DELIVRD", n, 3) for n in (3, 1, 2)], {"status": Status.DELIVERED, "segments_reported": 3}),
    "a failed segment that is delivered after all": (
        [seg("DELIVRD", 1), seg("UNDELIV", 2, happened_at=LATER), seg("DELIVRD", 2, happened_at=NOON)],
        {"status": Status.DELIVERED},
    ),
    "an expiry that the platform made up": ([EXPIRED_BY_PLATFORM], {"status": Status.EXPIRED}),
    "it speaks for segments that nobody reported": (
        [seg("DELIVRD", 1, happened_at=NOON), EXPIRED_BY_PLATFORM],
        {"status": Status.EXPIRED, "happened_at": None},
    ),
    "and for no others": (
        [seg("DELIVRD", 1, happened_at=NOON), EXPIRED_BY_PLATFORM, seg("DELIVRD", 2, happened_at=NOON)],
        {"status": Status.DELIVERED},
    ),
    "a delivery without a sequence speaks for every segment": (
        [report("DELIVRD"), seg("ACCEPTD", 2, 3)],
        {"status": Status.DELIVERED, "segments": 3, "segments_reported": 3},
    ),
    "of two failures the later decides": (
        [report("REJECTD"), report("UNDELIV", happened_at=NOON), report("MK:0001", happened_at=LATER)],
        {"code": "MK:0001"},
    ),
    "one without a time least": ([report("REJECTD"), report("UNDELIV", happened_at=NOON)], {"code": "UNDELIV"}),
    "at the same time the code": ([report(code) for code in ("REJECTD", "UNDELIV", "MK:0001")], {"code": "UNDELIV"}),
    "fractions of a second": ([report("a", happened_at=NOON), report("B", happened_at=SOON)], {"code": "B"}),
    "unknown is unknown": ([report("NEVER-SEEN", happened_at=LATER)], {"status": Status.UNKNOWN, "code": "NEVER-SEEN"}),
    "until somebody says more": (
        [report("NEVER-SEEN", happened_at=LATER), report("ENROUTE", happened_at=NOON)],
        {"status": Status.ENROUTE},
    ),
    "a segment that nobody understood keeps it from being delivered": (
        [seg("DELIVRD", 1), seg("NEVER-SEEN", 2)],
        {"status": Status.ENROUTE},
    ),
    "accepted is accepted": ([report("ACCEPTD", happened_at=NOON)], {"status": Status.ACCEPTED}),
    "and not the end": (
        [report("ACCEPTD", happened_at=NOON), report("UNDELIV", happened_at=LATER)],
        {"status": Status.UNDELIVERABLE},
    ),
    "the greatest number of segments that a segment has": ([seg("DELIVRD", 1), seg("DELIVRD", 3)], {"segments": 3}),
    "or that anybody named": ([seg("DELIVRD", 1, 5), seg("DELIVRD", 2)], {"segments": 5}),
    "a message that was taken is under way and nobody has reported it": (
        [submission(segments=2)],
        {"status": Status.ENROUTE, "reason": None, "code": "000000", "happened_at": NOON, "segments": 2}
        | {"segments_reported": 0},
    ),
    "one that was refused is rejected for the platform's reason": (
        [submission("E200041")],
        {"status": Status.REJECTED, "reason": Reason.DUPLICATE_RECIPIENT, "segments_reported": 0},
    ),
    "a submission says how many segments must be delivered": (
        [submission(segments=2), seg("DELIVRD", 1, None, happened_at=NOON)],
        {"status": Status.ENROUTE},
    ),
    "and all are": (
        [submission(segments=2), *(seg("DELIVRD", n, None, happened_at=NOON) for n in (1, 2))],
        {"status": Status.DELIVERED},
    ),
    "a report that nobody understands does not undo a submission": (
        [SENT, report("NEVER-SEEN", happened_at=LATER)],
        {"status": Status.ENROUTE, "code": "000000", "segments_reported": 1},
    ),
    "a report goes before what was said at the submission": ([SENT, report("UNDELIV")], {"code": "UNDELIV"}),
    "a delivery before a refusal": ([REFUSED, report("DELIVRD")], {"status": Status.DELIVERED}),
    "refused first and taken later has failed": ([REFUSED, TAKEN_LATER], {"status": Status.REJECTED}),
    "until it is delivered": ([REFUSED, TAKEN_LATER, report("DELIVRD")], {"status": Status.DELIVERED}),
}


@pytest.mark.parametrize("story", STORIES)
def test_the_state_is_the_one_of_the_story_in_whatever_order(story):
    rows, expected = STORIES[story]
    for order in (rows, rows[::-1]):
        state = state_of(order)
        assert {name: getattr(state, name) for name in expected} == expected


def test_of_two_reports_about_one_segment_the_rank_decides():
    for lower, higher in ((a, b) for a in Status for b in Status if RANK[a] < RANK[b]):
        reports = [report("1", status=lower, happened_at=LATER), report("2", status=higher, happened_at=NOON)]
        assert state_of(reports).status is state_of(reports[::-1]).status is higher, (lower, higher)


def test_what_is_not_final():
    assert {Status.ACCEPTED, Status.UNKNOWN, Status.ENROUTE} & FINAL == set()
    assert segment_state(EXPIRED_BY_PLATFORM)[0] == WHOLE_MESSAGE


@pytest.mark.parametrize(("said", "segments"), [(None, 1), (40_000, 255)])
def test_the_number_of_segments_is_bounded(said, segments):
    assert message_state(parts_of([report()]), said).segments == segments


@pytest.mark.parametrize("sequence", [-1, 10_000])
def test_a_sequence_that_would_not_sort_is_refused(sequence):
    with pytest.raises(ValueError, match="is not between 0 and 9999"):
        report(sequence=sequence)


def test_a_sequence_is_no_part_of_a_report_s_identity():
    assert report(sequence=3).report_id == report().report_id
