"""What Tencent's API hands out, through its adapter: the same reports and replies as the pushed ones."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parsing import parse
from support.reports import callback
from support.tencent_api import pushed, pushed_reply, reply, report

from receiver.ingest.accept import parse_inbound
from receiver.providers import ENDPOINTS, SOURCES
from receiver.providers.payload import PayloadError
from receiver.providers.tencent import REPLY, REPORTS
from receiver.providers.tencent_pulled import REPLIES as PULLED_REPLIES
from receiver.providers.tencent_pulled import REPORTS as PULLED_REPORTS
from receiver.report import Reason, Status

LISTS = {PULLED_REPORTS: "PullSmsSendStatusSet", PULLED_REPLIES: "PullSmsReplyStatusSet"}

VENDOR_SAMPLE = b"""{
    "Response": {
        "PullSmsSendStatusSet": [
            {"Description": "DELIVRD", "CountryCode": "86", "SubscriberNumber": "18501234444",
             "ReportStatus": "SUCCESS", "PhoneNumber": "+8618501234444",
             "SerialNo": "5000:1045710669157053657849499619", "UserReceiveTime": 1620734188, "SessionContext": ""}
        ],
        "RequestId": "00000000-0000-4000-8000-000000000000"
    }
}"""


def answer(path, *items):
    return json.dumps({"Response": {LISTS[path]: items, "RequestId": "r"}}).encode()


def pulled(path, *items):
    return parse(path, answer(path, *items))


def one(path, item):
    parsed = pulled(path, item)
    assert parsed.faults == []
    (row,) = parsed.reports or parsed.replies
    return row


def push(path, body):
    parsed = parse(path, json.dumps(body).encode())
    (row,) = parsed.reports or parsed.replies
    return row


def test_the_vendors_sample_is_understood():
    (row,) = parse(PULLED_REPORTS, VENDOR_SAMPLE).reports
    assert (row.message_id, row.status, row.code) == ("5000:1045710669157053657849499619", Status.DELIVERED, "DELIVRD")
    assert (row.recipient, row.country, row.reason, row.context) == ("+8618501234444", "CN", None, None)
    assert row.happened_at == datetime(2021, 5, 11, 11, 56, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"status": Status.UNDELIVERABLE, "code": "MK:0001"}),
        ({"Description": "ZZ:9917"}, {"status": Status.UNDELIVERABLE, "reason": Reason.UNKNOWN, "code": "ZZ:9917"}),
        ({"Description": "ACCEPTD"}, {"status": Status.UNDELIVERABLE, "reason": Reason.UNKNOWN, "code": "ACCEPTD"}),
        ({"SessionContext": "order-2"}, {"context": '{"ext":"order-2"}'}),
        *(({"SessionContext": nothing}, {"context": None}) for nothing in ("", None)),
        *(({"UserReceiveTime": time}, {"happened_at": None}) for time in (0, None, "", "soon", -1, 10**30)),
        *(
            ({missing: None}, {"recipient": "+8613800000005", "country": "CN"})
            for missing in ("PhoneNumber", "SubscriberNumber", "CountryCode")
        ),
    ],
    ids=str,
)
def test_a_failure_is_read_field_by_field(changes, expected):
    row = one(PULLED_REPORTS, report(5, **changes))
    assert {name: getattr(row, name) for name in expected} == expected


def test_a_report_without_a_time_is_the_same_pushed_and_pulled():
    without = pushed(report(5)) | {"user_receive_time": ""}
    for nothing in (0, None, ""):
        assert one(PULLED_REPORTS, report(5, UserReceiveTime=nothing)).report_id == push(REPORTS, [without]).report_id


def test_a_reply_has_the_subscriber_the_text_and_the_sign():
    row = one(PULLED_REPLIES, reply(7, ExtendCode="12"))
    assert (row.sender, row.body, row.sign, row.extend) == ("+8613900000007", "好的 7", "示例", "12")
    assert row.sent_at == datetime.fromtimestamp(1_790_000_007, UTC)


def test_one_bad_item_costs_the_others_nothing():
    parsed = pulled(PULLED_REPORTS, report(1), {"Description": "DELIVRD"}, report(2), "text")
    assert [row.message_id[-1] for row in parsed.reports] == ["1", "2"]
    assert [fault.partition(":")[0] for fault in parsed.faults] == ["item 2", "item 4"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b"\xff\xfe", VENDOR_SAMPLE[:300], b'{"Response": []}', b'{"Response": {}}'),
        *(b'{"Response": {"PullSmsSendStatusSet": 1}}', b'{"Response": {"PullSmsSendStatusSet": null}}'),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body):
    with pytest.raises(PayloadError):
        parse(PULLED_REPORTS, body)


async def test_it_is_kept_and_replayed_like_a_callback_but_no_url_leads_to_it():
    assert SOURCES.keys().isdisjoint(ENDPOINTS)
    body = answer(PULLED_REPORTS, report(1), "text")
    _, job = await parse_inbound(callback(body=body)._replace(path=PULLED_REPORTS))
    assert (job.provider, len(job.reports), job.error[:6]) == ("tencent", 1, "item 2")


numbers = st.tuples(st.sampled_from(["86", "852", "65", "1", "7"]), st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True))
moments = st.integers(1, 4_102_444_800)
texts = st.text(max_size=40).filter(str.isprintable)
codes = st.sampled_from(["DELIVRD", "MK:0001", "UNDELIV", "ZZ:9917", "", "A code with blanks "]) | texts


def of_number(country, subscriber):
    return {"CountryCode": country, "SubscriberNumber": subscriber, "PhoneNumber": f"+{country}{subscriber}"}


@given(
    number=numbers,
    SerialNo=texts.filter(str.strip),
    ReportStatus=st.sampled_from(["SUCCESS", "FAIL", "PENDING"]),
    Description=codes,
    UserReceiveTime=moments,
    SessionContext=texts,
)
def test_a_report_has_one_identity_pushed_and_pulled(number, **changes):
    item = report(1, **of_number(*number), **changes)
    left, right = one(PULLED_REPORTS, item), push(REPORTS, [pushed(item)])
    assert left.report_id == right.report_id
    for name in ("message_id", "recipient", "country", "status", "reason", "code", "context", "happened_at"):
        assert getattr(left, name) == getattr(right, name), name


@given(number=numbers, ReplyContent=texts, SignName=texts, ReplyTime=moments, ExtendCode=texts)
def test_a_reply_has_one_identity_pushed_and_pulled(number, **changes):
    item = reply(1, **of_number(*number), **changes)
    left, right = one(PULLED_REPLIES, item), push(REPLY, pushed_reply(item))
    for name in ("reply_id", "sender", "body", "sign", "extend", "sent_at"):
        assert getattr(left, name) == getattr(right, name), name


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
fields = st.sampled_from([*report(1), *reply(1)])
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(fields, inner))


@given(values)
def test_any_item_is_understood_or_refused(item):
    for path in SOURCES:
        parsed = pulled(path, item)
        refused = [fault for fault in parsed.faults if "stored with U+FFFD" not in fault]
        assert len(parsed.reports) + len(parsed.replies) + len(refused) == 1
