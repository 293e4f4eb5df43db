"""What holds for every body, not only for those that somebody thought of."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.cases import cases
from support.dialects import ENDPOINT_PATHS, good_body
from support.parsing import parse, parsed
from support.submissions import answers

from receiver.providers import ENDPOINTS, SUBMISSIONS
from receiver.providers import fields as common
from receiver.providers.base import Verdict
from receiver.providers.payload import PayloadError, Wire, as_json_text, parse_form, parse_json
from receiver.report import DeliveryReport, Reply, Status, Submission

every_path = pytest.mark.parametrize("path", [*ENDPOINT_PATHS, *sorted(SUBMISSIONS)])

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ANY_TEXT = st.text(st.characters())
"""Lone surrogates too: JSON can write them."""

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)
FIELDS = {str(field.alias or name) for model in Wire.__subclasses__() for name, field in model.model_fields.items()}
KNOWN = {word for case in answers() for word in case.body.decode(errors="ignore").split('"') if len(word) < 30}
KEYS = st.sampled_from(sorted(FIELDS | KNOWN | {"statusReportList", "SMS_RESULT_LIST", "CUSTOMER_BODY", "ext"}))
CODES = ["SMS_PUSH_REPORT", "REQUEST", "DELIVRD", "SUCCESS", "FAIL", "86", "+15512345678", 1, 3, 268435457, 2**31, -1]
VALUES = st.recursive(
    JSON_VALUES | st.sampled_from([*CODES, *sorted(KNOWN)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=12),
    max_leaves=30,
)


def assert_storable(*texts: str) -> None:
    """PostgreSQL takes them, and a log and an answer can show them."""
    assert "\0" not in "".join(texts).encode().decode()


def as_dict(row: DeliveryReport | Reply | Submission) -> dict[str, Any]:
    return row._asdict() if isinstance(row, DeliveryReport) else asdict(row)


def is_utc(value: datetime) -> bool:
    return value.utcoffset() == timedelta(0)


def is_object(value: str) -> bool:
    return isinstance(json.loads(value), dict)


def is_byte(value: int) -> bool:
    return 1 <= value <= 255


SOUND: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(["happened_at", "sent_at", "submitted_at"], is_utc),
    **dict.fromkeys(["segment", "segments"], is_byte),
    "context": is_object,
    "raw": lambda value: json.loads(value) is not None,
}
"""What holds for a column that has a value."""


def assert_sound(path: str, body: bytes) -> None:
    """Everything that the store and the answer rely on."""
    got = parsed(path, body)
    rows = [*got.reports, *got.replies, *got.submissions]
    assert rows or got.faults
    assert all(got.faults)
    assert not (got.submissions if path in ENDPOINTS else got.reports or got.replies)
    assert_storable(*got.faults)
    for row in rows:
        columns = as_dict(row)
        columns.pop("happened_at_text", None)
        assert_storable(*(value for value in columns.values() if isinstance(value, str)))
        assert [name for name in SOUND if columns.get(name) is not None and not SOUND[name](columns[name])] == []
    assert {row.recipient[0] for row in (*got.reports, *got.submissions) if row.recipient} <= {"+"}
    for one in got.submissions:
        assert_sound_submission(one)
    for verdict in Verdict if path in ENDPOINTS else ():
        answer = ENDPOINTS[path].answer(verdict, "; ".join(got.faults), got.answer_context).decode()
        assert isinstance(json.loads(answer), dict) if "json" in ENDPOINTS[path].media_type else answer


def assert_sound_submission(one: Submission) -> None:
    assert 0 < len(one.message_id) <= 256
    assert one.status in (Status.ENROUTE, Status.REJECTED)
    assert (one.reason is None) == (one.status is Status.ENROUTE)
    assert one.fee is None or 0 <= one.fee <= (1_000 if one.status is Status.ENROUTE else 0)
    assert one.country is None or (len(one.country) == 2 and one.country.isascii() and one.country.isupper())
    assert is_object(one.raw)


@given(st.dictionaries(TEXTS, TEXTS, min_size=1))
@example({"extend": "a=1&b=2+3%20", "": ""})
def test_a_form_comes_back_as_it_was_encoded(fields):
    assert parse_form(urlencode(fields)) == fields


@given(JSON_VALUES)
def test_json_is_read_as_it_was_written(value: object) -> None:
    def same(read: object, written: object) -> bool:
        if isinstance(written, dict) and isinstance(read, dict):
            return read.keys() == written.keys() and all(same(read[key], written[key]) for key in written)
        if isinstance(written, list) and isinstance(read, list):
            return len(read) == len(written) and all(map(same, read, written))
        # A number with very many digits is kept as the text that it is.
        return read == written or read == str(written)

    for ascii_only in (True, False):
        assert same(parse_json(json.dumps(value, ensure_ascii=ascii_only)), value)


@given(JSON_VALUES)
@example({"\0": 1})
@example(["\ud800"])
@example("\\u0000")
@example(1e308)
def test_json_that_is_stored_is_json_that_postgresql_takes(value: object) -> None:
    try:
        text = as_json_text(parse_json(json.dumps(value)))
    except PayloadError:
        return
    assert_storable(text)
    assert "\0" not in str(json.loads(text))
    assert as_json_text(parse_json(text)) == text


@given(st.binary() | st.text().map(str.encode))
@example(b'{"result": [{"code": "000000"}]}')
@example(b'{"result": [], "DETAIL_LIST": [], "SendStatusSet": []}')
@example(b'{"result": [1], "DETAIL_LIST": [null], "SendStatusSet": [[]]}')
@example(b'{"Response": {"Response": {}}}')
@example(b'{"result": {"smsMsgId": "1", "status": "000000", "status": "E200041"}}')
@every_path
def test_no_bytes_surprise_an_adapter(path: str, body: bytes) -> None:
    assert_sound(path, body)


@given(VALUES)
@every_path
def test_no_json_surprises_an_adapter(path: str, value: object) -> None:
    assert_sound(path, json.dumps(value).encode())


@given(st.lists(st.tuples(KEYS, ANY_TEXT.filter(lambda text: text.isprintable()) | st.sampled_from(["1", "DELIVRD"]))))
@every_path
def test_no_form_surprises_an_adapter(path: str, fields: list[tuple[str, str]]) -> None:
    assert_sound(path, urlencode(fields).encode())


@given(st.data())
@every_path
def test_no_field_of_a_good_body_surprises_an_adapter(path: str, data: st.DataObject) -> None:
    answered = [case.body for case in answers() if case.path[1:] == path and case.body[:1] == b"{"]
    body = data.draw(st.sampled_from(answered)) if answered else good_body(path, "field")
    if body[:1] not in b"{[":
        fields = dict(parse_form(body.decode())) | {data.draw(KEYS): data.draw(TEXTS)}
        assert_sound(path, urlencode(fields).encode())
        return
    value = place = json.loads(body)
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    assert_sound(path, json.dumps(value).encode())


@every_path
def test_every_cut_and_every_broken_byte_of_every_fixture_is_sound(path: str) -> None:
    bodies = [case.body for case in cases() if case.expected["endpoint"] == path and len(case.body) < 1_000]
    for body in (*bodies, *(case.body for case in answers() if case.path[1:] == path)):
        for at in range(0, len(body), 11):
            for broken in (body[:at], body[:at] + b"\xff" + body[at + 1 :], body[:at] + b"0" + body[at + 1 :]):
                assert_sound(path, broken)


@given(st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?", fullmatch=True))
@example("2024-02-30T25:00:00Z")
@example("0001-01-01 00:00:00")
@example("9999-12-31 23:59:59")
def test_a_time_is_aware_utc_or_nothing(text: str) -> None:
    for read in (common.iso_utc, common.beijing_wall_clock):
        at = read(text)
        assert at is None or at.utcoffset() == timedelta(0)


@example("+8110000000000000", None)  # sixteen digits, which the library thinks possible in Japan
@given(st.text(max_size=40) | st.from_regex(r"\+?\d{0,40}", fullmatch=True), st.sampled_from([None, "CN"]))
def test_a_number_is_e_164_or_nothing(number: str, region: str | None) -> None:
    recipient, country = common.e164(number, region)
    assert recipient is None or (recipient[0] == "+" and recipient[1:].isdigit() and len(recipient) <= 16)
    assert country is None or (len(country) == 2 and country.isupper())


PACKET = json.loads(good_body("cloudsms/report", "packet"))
ITEM = json.loads(good_body("tencent/reports", "item"))[0]
FORM = parse_form(good_body("huawei/report", "form").decode()) | {"sequence": "1", "total": "2"}


def one_id(path: str, value: Any) -> object:
    body = urlencode(value) if path == "huawei/report" else json.dumps(value)
    (report,) = parse(path, body.encode()).reports
    return report.report_id


@given(serial=st.integers(1, 65_535), time=TEXTS, more=JSON_VALUES)
def test_a_packet_pushed_again_is_the_same_report(serial: int, time: str, more: object) -> None:
    """SERIAL and TIME belong to the push, and a field that nobody knows to nobody."""
    again = PACKET | {"SERIAL": serial, "TIME": time, "MORE": more}
    try:
        assert one_id("cloudsms/report", again) == one_id("cloudsms/report", PACKET)
    except ValueError:  # the unknown field can't be stored
        assert parsed("cloudsms/report", json.dumps(again).encode()).faults


CHANGED = {"smsMsgId": "other", "status": "UNDELIV", "sequence": "2", "total": "3", "source": "3", "orgCode": "000"}
(RESULT,) = PACKET["SMS_RESULT_LIST"]
IDENTITY = [
    *(("huawei/report", FORM, name, other) for name, other in CHANGED.items()),
    ("huawei/report", FORM, "updateTime", "2026-11-20T09:15:04Z"),
    ("cloudsms/report", PACKET, "SMS_UID", "other"),
    ("cloudsms/report", PACKET, "REPORT_TIME", "2026-11-20 17:15:05"),
    ("cloudsms/report", PACKET, "REPORT_TIME", "no time"),
    ("cloudsms/report", PACKET, "SMS_RESULT_LIST", [RESULT | {"SMS_STATE": 5}]),
    ("cloudsms/report", PACKET, "SMS_RESULT_LIST", [RESULT | {"DEST_MSISDN": "15512345679"}]),
    ("tencent/reports", ITEM, "sid", "other"),
    ("tencent/reports", ITEM, "errmsg", "MK:0001"),
    ("tencent/reports", ITEM, "user_receive_time", "2026-11-20 17:15:05"),
    ("tencent/reports", ITEM, "user_receive_time", "no time"),
]


@pytest.mark.parametrize(("path", "value", "name", "other"), IDENTITY)
def test_a_report_that_says_something_else_is_another_report(path: str, value: Any, name: str, other: object) -> None:
    assert one_id(path, value) != one_id(path, value | {name: other})


def test_a_key_that_stands_twice_is_named_so_that_it_can_be_stored_and_answered() -> None:
    for key in (r"\u0000", r"\ud800", r"\u202e", "x" * 100):
        for path in ENDPOINT_PATHS:
            assert_sound(path, f'{{"{key}":1,"{key}":2}}'.encode())


def test_finding_the_key_that_stands_twice_does_not_take_minutes() -> None:
    keys = ",".join(f'"{min(number, 89_999)}":0' for number in range(90_001))
    with pytest.raises(PayloadError, match="the key 89999 stands twice"):
        as_json_text(parse_json(f"{{{keys}}}"))


def test_a_reply_whose_time_is_thousands_of_digits_is_stored_without_one() -> None:
    (reply,) = parse("tencent/reply", b'{"text":"TD","time":"%s1"}' % (b"0" * 5_000)).replies
    assert reply.sent_at is None
