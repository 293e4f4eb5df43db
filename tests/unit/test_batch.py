"""Reports arranged for one statement: each once, one row a message."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.reports import NOON, callback, distinct, job, report, some_reports, state_of

from receiver.report import ProviderName, Reply, RowId
from receiver.store.batch import Incoming, arrange, incoming
from receiver.store.columns import rejected_columns, reply_columns
from receiver.store.job import Job, job_of

LATER = NOON + timedelta(hours=1)
MESSAGE = ("message_id", "provider", "recipient_key", "status", "reason", "code", "happened_at", "sequence")
MESSAGE += ("segments", "segments_reported", "recipient", "country", "sender", "context", "envelope_id")
MESSAGE += ("first_received_at", "last_received_at", "submitted_at", "part", "parts", "report_id", "seen")
"""The attributes of sms_data.incoming_message."""

STATE = ("status", "reason", "code", "happened_at", "segments", "segments_reported")


def messages(*jobs: Job) -> list[dict]:
    """The messages that several reports tell of, or a part of one."""
    return [dict(zip(MESSAGE, row, strict=True)) for row in incoming(arrange(jobs)).messages]


def columns(row: dict, names: tuple[str, ...]) -> tuple:
    return tuple(row[name] for name in names)


def reply(text: str) -> Reply:
    return Reply(provider=ProviderName("tencent"), reply_id=RowId(f"{len(text):032x}"), body=text, raw="{}")


def test_the_same_report_in_one_body_and_in_two_is_written_once():
    one, other = report("ACCEPTD"), report("DELIVRD")
    batch = arrange([job(one, one, other), job(other, received_at=LATER)])
    assert set(batch.reports) == {one.report_id, other.report_id}
    assert [received.received_at for _, received in batch.reports.values()] == [NOON, NOON]
    (row,) = messages(job(one, one, other), job(other, received_at=LATER))
    assert row["seen"] == [one.report_id, other.report_id]


def test_each_message_and_recipient_is_one_row_sorted_by_its_key():
    of = [report(message_id=message, recipient_key=key) for message in "cab" for key in ("2", "10", "")] * 2
    of.append(report(message_id="a", provider=ProviderName("cloudsms")))
    keys = [row[1:4] for row in incoming(arrange([job(*of)])).lone]
    assert len(set(keys)) == len(keys) == 10
    assert keys == sorted(keys)


@given(some_reports, st.data())
def test_the_row_of_a_message_has_the_state_of_its_reports(drawn, data):
    reports = distinct(drawn)
    cut = data.draw(st.integers(0, len(reports)))
    jobs = [job(*reports[:cut]), job(*reports[cut:])]
    state = state_of(reports)
    if lone := incoming(arrange(jobs)).lone:
        assert lone[0][4:8] == (state.status, state.reason, state.code, state.happened_at)
    else:
        (row,) = messages(*jobs)
        assert columns(row, STATE) == state
        assert (row["parts"] is None) == (row["part"] is not None)


def test_parts_are_written_as_the_database_reads_them():
    (row,) = messages(job(report("UNDELIV", segment=2, segments=2, happened_at=NOON, sequence=3), report("ACCEPTD")))
    assert json.loads(row["parts"]) == {
        "0": [2, "", "ACCEPTD", "accepted", ""],
        "2": [4, "2026-03-01T12:00:00+00:00#0003", "UNDELIV", "undeliverable", "unreachable"],
    }


def test_arrival_is_first_and_last_whatever_the_order_of_the_jobs():
    jobs = [
        job(report("ACCEPTD"), received_at=LATER),
        job(report("DELIVRD")),
        job(report("-3"), received_at=LATER + timedelta(days=1)),
    ]
    for order in (jobs, jobs[::-1]):
        (row,) = messages(*order)
        assert columns(row, ("first_received_at", "last_received_at")) == (NOON, LATER + timedelta(days=1))


def test_what_only_some_reports_tell_is_kept_in_any_order():
    silent = report("ACCEPTD")
    telling = report("DELIVRD", recipient="+8615500005678", country="CN", sender="CloudSMS", context='{"extend":"a"}')
    other = report("-3", recipient="+8615500005679", context='{"extend":"b"}')
    for order in ([silent, telling, other], [other, telling, silent]):
        (row,) = messages(job(*order))
        assert columns(row, ("recipient", "country", "sender")) == ("+8615500005679", "CN", "CloudSMS")
        assert row["context"] == '{"extend":"b"}'


def test_every_kind_of_row_of_a_job_is_arranged():
    one = job_of(
        callback=callback(),
        provider=ProviderName("tencent"),
        reports=[report()],
        replies=[reply("STOP"), reply("STOP")],
        error="item 2: a number stands where an object belongs",
    )
    batch = arrange([one, one])
    assert one.size == 4
    assert len(reply_columns(batch)[0]) == len(rejected_columns(batch)[0]) == 1
    assert len(incoming(batch).lone) == 1
    assert rejected_columns(batch)[2] == ("/callback/huawei/report",)
    assert [piece.size for piece in one.pieces()] == [1, 1, 1, 1]


def test_nothing_is_arranged_as_nothing():
    batch = arrange([])
    assert incoming(batch) == Incoming()
    assert (reply_columns(batch), rejected_columns(batch)) == ([], [])
