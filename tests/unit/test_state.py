"""The state of a message: no order, repetition or interleaving of its reports changes it."""

from datetime import UTC, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.reports import ANSWERS, NOON, parts_of, report, some_report, some_reports, some_rows, state_of, submission

from receiver.report import FINAL, RANK, Reason, Status
from receiver.state import WHOLE_MESSAGE, merge_parts, message_state, segment_state

LATER = NOON + timedelta(minutes=1)


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


def test_a_late_sent_does_not_overwrite_delivered():
    state = state_of([report("DELIVRD", happened_at=NOON), report("ACCEPTD", happened_at=LATER)])
    assert (state.status, state.code, state.happened_at) == (Status.DELIVERED, "DELIVRD", NOON)


def test_a_late_expiry_by_the_platform_does_not_overwrite_delivered():
    state = state_of([report("DELIVRD", happened_at=NOON), report("EXPIRED", happened_at=LATER)])
    assert state.status is Status.DELIVERED


def test_states_without_a_time_are_in_the_order_that_their_platform_declares():
    """The spelling of the code decided: a message that was `sent` stayed `waiting` for ever."""
    order = [report(code, status=Status.ENROUTE, sequence=n) for n, code in enumerate(("waiting", "sent", "buffered"))]
    for known in ([order[0], order[1]], [order[1], order[0]]):
        assert state_of(known).code == "sent"
    assert state_of(order).code == "buffered"
    assert state_of(order).happened_at is None


def test_a_sequence_decides_within_the_same_time_alone():
    first, second = report("b", sequence=1, happened_at=NOON), report("a", sequence=2, happened_at=NOON)
    soon = report("c", happened_at=NOON + timedelta(microseconds=1))
    assert (state_of([second, first]).code, state_of([second, first]).happened_at) == ("a", NOON)
    assert state_of([second, first, soon]).code == "c"
    assert state_of([report("later", sequence=9_999), first]).code == "b", "no time is before every time"


def test_ten_comes_after_nine():
    assert state_of([report("b", sequence=9), report("a", sequence=10)]).code == "a"


@pytest.mark.parametrize("sequence", [-1, 10_000])
def test_a_sequence_that_would_not_sort_is_refused(sequence):
    with pytest.raises(ValueError, match="is not between 0 and 9999"):
        report(sequence=sequence)


def test_a_sequence_is_no_part_of_a_report_s_identity():
    assert report(sequence=3).report_id == report().report_id


def test_success_of_segment_2_does_not_hide_the_failure_of_segment_1():
    failed = report("UNDELIV", segment=1, segments=2, happened_at=NOON)
    delivered = report("DELIVRD", segment=2, segments=2, happened_at=LATER)
    for order in ([failed, delivered], [delivered, failed]):
        state = state_of(order)
        assert (state.status, state.reason, state.code) == (Status.UNDELIVERABLE, Reason.UNREACHABLE, "UNDELIV")
        assert (state.segments, state.segments_reported) == (2, 2)


def test_delivered_only_once_every_segment_is():
    segments = [report("DELIVRD", segment=number, segments=3) for number in (3, 1, 2)]
    counted = [(state_of(segments[:n]).status, state_of(segments[:n]).segments_reported) for n in (1, 2, 3)]
    assert counted == [(Status.ENROUTE, 1), (Status.ENROUTE, 2), (Status.DELIVERED, 3)]


def test_a_failed_segment_that_is_delivered_after_all_counts_as_delivered():
    reports = [
        report("DELIVRD", segment=1, segments=2),
        report("UNDELIV", segment=2, segments=2, happened_at=LATER),
        report("DELIVRD", segment=2, segments=2, happened_at=NOON),
    ]
    assert state_of(reports).status is Status.DELIVERED


def test_an_expiry_that_the_platform_made_up_speaks_for_the_segments_that_nobody_reported():
    """It has no sequence and no time (vendor notes): no report came from the carrier within 72 hours."""
    expired = report("EXPIRED", reported_by="platform")
    first, second = (report("DELIVRD", segment=number, segments=2, happened_at=NOON) for number in (1, 2))
    assert segment_state(expired)[0] == WHOLE_MESSAGE
    assert state_of([expired]).status is Status.EXPIRED
    assert state_of([first, expired]).status is Status.EXPIRED
    assert state_of([first, expired]).happened_at is None
    assert state_of([first, expired, second]).status is Status.DELIVERED


def test_a_delivery_without_a_sequence_speaks_for_every_segment():
    state = state_of([report("DELIVRD"), report("ACCEPTD", segment=2, segments=3)])
    assert (state.status, state.segments, state.segments_reported) == (Status.DELIVERED, 3, 3)


def test_of_two_reports_about_one_segment_the_rank_decides():
    for lower, higher in ((a, b) for a in Status for b in Status if RANK[a] < RANK[b]):
        reports = [report("1", status=lower, happened_at=LATER), report("2", status=higher, happened_at=NOON)]
        assert state_of(reports).status is state_of(reports[::-1]).status is higher, (lower, higher)


def test_of_two_failures_the_later_decides_and_one_without_a_time_least():
    timeless, early, late = (
        report("REJECTD"),
        report("UNDELIV", happened_at=NOON),
        report("MK:0001", happened_at=LATER),
    )
    assert state_of([late, early, timeless]).code == "MK:0001"
    assert state_of([timeless, early]).code == "UNDELIV"


def test_of_two_failures_at_the_same_time_the_code_decides():
    assert state_of([report("REJECTD"), report("UNDELIV"), report("MK:0001")]).code == "UNDELIV"


def test_fractions_of_a_second_are_told_apart():
    early, late = report("a", happened_at=NOON), report("B", happened_at=NOON + timedelta(microseconds=1))
    assert state_of([late, early]).code == "B"


def test_unknown_stays_unknown_until_somebody_says_more():
    unknown = report("NEVER-SEEN", happened_at=LATER)
    assert (state_of([unknown]).status, state_of([unknown]).code) == (Status.UNKNOWN, "NEVER-SEEN")
    assert state_of([unknown]).status not in FINAL
    assert state_of([unknown, report("ENROUTE", happened_at=NOON)]).status is Status.ENROUTE


def test_a_segment_that_nobody_understood_keeps_the_message_from_being_delivered():
    reports = [report("DELIVRD", segment=1, segments=2), report("NEVER-SEEN", segment=2, segments=2)]
    assert state_of(reports).status is Status.ENROUTE


def test_acceptd_is_not_the_end():
    accepted = report("ACCEPTD", happened_at=NOON)
    assert state_of([accepted]).status is Status.ACCEPTED
    assert Status.ACCEPTED not in FINAL
    assert state_of([accepted, report("DELIVRD", happened_at=LATER)]).status is Status.DELIVERED
    assert state_of([accepted, report("UNDELIV", happened_at=LATER)]).status is Status.UNDELIVERABLE


def test_reports_that_disagree_about_the_number_of_segments():
    """The greatest number that anybody named, whether as a total or as a segment's own."""
    assert state_of([report(segment=1, segments=2), report(segment=3, segments=2)]).segments == 3
    assert state_of([report(segment=1, segments=5), report(segment=2, segments=2)]).segments == 5
    assert message_state(parts_of([report()]), None).segments == 1
    assert message_state(parts_of([report()]), 40_000).segments == 255


def test_a_message_that_was_taken_is_under_way_and_nobody_has_reported_it():
    state = state_of([submission(segments=2)])
    assert (state.status, state.reason, state.code) == (Status.ENROUTE, None, "000000")
    assert (state.happened_at, state.segments, state.segments_reported) == (NOON, 2, 0)


def test_a_message_that_was_refused_is_rejected_for_the_reason_that_the_platform_gave():
    state = state_of([submission("E200041")])
    assert (state.status, state.reason, state.segments_reported) == (Status.REJECTED, Reason.DUPLICATE_RECIPIENT, 0)


def test_a_submission_says_of_how_many_segments_a_delivery_must_be():
    first, second = (report("DELIVRD", segment=number, happened_at=NOON) for number in (1, 2))
    assert state_of([submission(segments=2), first]).status is Status.ENROUTE
    assert state_of([submission(segments=2), first, second]).status is Status.DELIVERED


def test_a_report_that_nobody_understands_does_not_undo_that_the_message_was_taken():
    state = state_of([submission(), report("NEVER-SEEN", happened_at=LATER)])
    assert (state.status, state.code, state.segments_reported) == (Status.ENROUTE, "000000", 1)


def test_what_a_report_says_goes_before_what_was_said_at_the_submission():
    for order in ([submission(), report("UNDELIV")], [report("UNDELIV"), submission()]):
        assert state_of(order).code == "UNDELIV"
    assert state_of([submission("E200028"), report("DELIVRD")]).status is Status.DELIVERED


def test_a_message_that_was_refused_first_and_taken_later_has_failed_until_it_is_delivered():
    refused_and_taken = [submission("E200028"), submission(submitted_at=LATER)]
    assert state_of(refused_and_taken).status is Status.REJECTED
    assert state_of([*refused_and_taken, report("DELIVRD")]).status is Status.DELIVERED
