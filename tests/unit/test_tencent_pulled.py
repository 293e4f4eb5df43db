"""What Tencent's API hands out, through its adapter: the same reports and replies as the pushed ones."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tc3
from support.parsing import parse
from support.tencent_api import pushed, pushed_reply, reply, report

from receiver.inbound import Inbound
from receiver.ingest.understand import parse_inbound
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
    assert (row.message_id, row.status, row.code) == (
        "5000:1045710669157053657849499619",
        Status.DELIVERED,
        "DELIVRD",
    )
    assert (row.recipient, row.country, row.reason, row.context) == ("+8618501234444", "CN", None, None)
    assert row.happened_at == datetime(2021, 5, 11, 11, 56, 28, tzinfo=UTC)


def test_a_failure_has_its_code_in_the_description():
    row = one(PULLED_REPORTS, report(5))
    assert (row.status, row.code) == (Status.UNDELIVERABLE, "MK:0001")
    unheard = one(PULLED_REPORTS, report(5, Description="ZZ:9917"))
    assert (unheard.status, unheard.reason, unheard.code) == (Status.UNDELIVERABLE, Reason.UNKNOWN, "ZZ:9917")


@pytest.mark.parametrize("nothing", ["", None])
def test_no_session_context_is_no_context(nothing):
    assert one(PULLED_REPORTS, report(1, SessionContext=nothing)).context is None


def test_session_context_is_what_a_push_calls_ext():
    assert json.loads(one(PULLED_REPORTS, report(2, SessionContext="order-2")).context) == {"ext": "order-2"}


@pytest.mark.parametrize("time", [0, None, "", "soon", -1, 10**30])
def test_a_time_that_is_none_is_null(time):
    assert one(PULLED_REPORTS, report(1, UserReceiveTime=time)).happened_at is None


def test_a_report_without_a_time_is_the_same_pushed_and_pulled():
    without = pushed(report(5)) | {"user_receive_time": ""}
    for nothing in (0, None, ""):
        assert one(PULLED_REPORTS, report(5, UserReceiveTime=nothing)).report_id == push(REPORTS, [without]).report_id


def test_number_and_country_come_from_whichever_field_tells():
    whole = report(1)
    for missing in ("PhoneNumber", "SubscriberNumber", "CountryCode"):
        row = one(PULLED_REPORTS, {name: value for name, value in whole.items() if name != missing})
        assert (row.recipient, row.country) == ("+8613800000001", "CN")


def test_a_reply_has_the_subscriber_the_text_and_the_sign():
    row = one(PULLED_REPLIES, reply(7, ExtendCode="12"))
    assert (row.sender, row.body, row.sign, row.extend) == ("+8613900000007", "好的 7", "示例", "12")
    assert row.sent_at == datetime.fromtimestamp(1_790_000_007, UTC)


def test_one_bad_item_costs_the_others_nothing():
    parsed = pulled(PULLED_REPORTS, report(1), {"Description": "DELIVRD"}, report(2), "text")
    assert [row.message_id[-1] for row in parsed.reports] == ["1", "2"]
    assert [fault.partition(":")[0] for fault in parsed.faults] == ["item 2", "item 4"]


def test_the_list_alone_is_understood_too():
    body = json.dumps([report(1), report(2)]).encode()
    assert len(parse(PULLED_REPORTS, body).reports) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        VENDOR_SAMPLE[:300],
        b'{"Response": []}',
        b'{"Response": {}}',
        b'{"Response": {"PullSmsSendStatusSet": 1}}',
        b'{"Response": {"PullSmsSendStatusSet": null}}',
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body):
    with pytest.raises(PayloadError):
        parse(PULLED_REPORTS, body)


async def test_it_is_kept_and_replayed_like_a_callback_but_no_url_leads_to_it():
    assert SOURCES.keys().isdisjoint(ENDPOINTS)
    callback = Inbound(
        path=PULLED_REPORTS,
        body=answer(PULLED_REPORTS, report(1), "text"),
        content_type=None,
        received_at=datetime.now(UTC),
        remote_addr=None,
        request_id="r",
    )
    _, job = await parse_inbound(callback)
    assert job.provider == "tencent"
    assert len(job.reports) == 1
    assert job.error.startswith("item 2")


known_codes = st.sampled_from(["DELIVRD", "MK:0001", "UNDELIV", "ZZ:9917", "", "A code with blanks "])
numbers = st.tuples(st.sampled_from(["86", "852", "65", "1", "7"]), st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True))
moments = st.integers(1, 4_102_444_800)
texts = st.text(max_size=40).filter(str.isprintable)
codes = known_codes | texts


@given(
    number=numbers,
    serial=texts.filter(str.strip),
    status=st.sampled_from(["SUCCESS", "FAIL", "PENDING"]),
    code=codes,
    moment=moments,
    context=texts,
)
def test_a_report_has_one_identity_pushed_and_pulled(number, serial, status, code, moment, context):
    item = report(
        1,
        CountryCode=number[0],
        SubscriberNumber=number[1],
        PhoneNumber=f"+{number[0]}{number[1]}",
        SerialNo=serial,
        ReportStatus=status,
        Description=code,
        UserReceiveTime=moment,
        SessionContext=context,
    )
    left, right = one(PULLED_REPORTS, item), push(REPORTS, [pushed(item)])
    assert left.report_id == right.report_id
    for name in ("message_id", "recipient", "country", "status", "reason", "code", "context", "happened_at"):
        assert getattr(left, name) == getattr(right, name), name


@given(number=numbers, text=texts, sign=texts, moment=moments, extend=texts)
def test_a_reply_has_one_identity_pushed_and_pulled(number, text, sign, moment, extend):
    item = reply(
        1,
        CountryCode=number[0],
        SubscriberNumber=number[1],
        PhoneNumber=f"+{number[0]}{number[1]}",
        ReplyContent=text,
        SignName=sign,
        ReplyTime=moment,
        ExtendCode=extend,
    )
    left, right = one(PULLED_REPLIES, item), push(REPLY, pushed_reply(item))
    assert left.reply_id == right.reply_id
    for name in ("sender", "body", "sign", "extend", "sent_at"):
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


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
        ("Gu5t9xGARNpq86cd98joQYCN3*******", "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"),
    ],
)
def test_the_servers_check_of_signatures_agrees_with_the_vendors_worked_examples(key, signature):
    said = tc3.claim(
        "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}"
    )
    headers = {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"}
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    assert tc3.is_genuine(said, key, "POST", headers, "1551113065", body)
    assert not tc3.is_genuine(said, key, "POST", headers, "1551113065", body + b" ")
    assert not tc3.is_genuine(said, key + "x", "POST", headers, "1551113065", body)
