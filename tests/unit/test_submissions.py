"""What the adapters make of the answers of the platforms' send APIs, and that no bytes surprise them."""

import json
from dataclasses import fields
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.parsing import parsed, understood
from support.submissions import FOLDER, Answer, answer, answers

from receiver.providers import SUBMISSIONS
from receiver.report import Status, Submission

every_provider = pytest.mark.parametrize("path", sorted(SUBMISSIONS))
every_answer = pytest.mark.parametrize("case", answers(), ids=lambda case: case.name)

TEXTS = st.text(st.characters())
KNOWN = sorted({word for case in answers() for word in case.body.decode(errors="ignore").split('"') if len(word) < 30})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS | st.sampled_from([*KNOWN, 1, 3, 268435457, 2**31, -1, 10**20]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KNOWN) | TEXTS, inner, max_size=8),
    max_leaves=25,
)


def column(row: Submission, name: str) -> Any:
    value = getattr(row, name)
    if name == "submitted_at":
        return value and value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.loads(value) if name == "context" and value else value


def assert_sound(path: str, body: bytes) -> None:
    """Everything that the store and the answer rely on."""
    got = parsed(path, body)
    assert got.submissions or got.faults
    assert all(got.faults)
    assert [*got.reports, *got.replies] == []
    for one in got.submissions:
        texts = [value for field in fields(one) if isinstance(value := getattr(one, field.name), str)]
        assert not any("\0" in text.encode().decode() for text in texts)
        assert 0 < len(one.message_id) <= 256
        assert one.status in (Status.ENROUTE, Status.REJECTED)
        assert (one.reason is None) == (one.status is Status.ENROUTE)
        assert one.fee is None or 0 <= one.fee <= 1_000
        assert one.status is Status.ENROUTE or not one.fee
        assert one.country is None or (len(one.country) == 2 and one.country.isascii() and one.country.isupper())
        assert one.recipient is None or one.recipient[0] == "+"
        assert one.submitted_at is None or one.submitted_at.utcoffset() == timedelta(0)
        assert isinstance(json.loads(one.raw), dict)
        assert one.context is None or isinstance(json.loads(one.context), dict)


@every_answer
def test_adapter_makes_of_it_what_the_fixture_says(case: Answer) -> None:
    got = parsed(case.path[1:], case.body)
    expected = case.expected["submissions"]
    rows = [{name: column(row, name) for name in want} for row, want in zip(got.submissions, expected, strict=True)]
    assert rows == expected
    if case.expected["rejected"] is None:
        assert got.faults == []
    else:
        assert case.expected["rejected"] in "; ".join(got.faults).lower()
    assert understood(got) == (case.expected["http_status"] == 200)
    once, again = ([one.submission_id for one in parsed(case.path[1:], case.body).submissions] for _ in range(2))
    assert once == again
    assert len(set(once)) == len(once)


def test_every_provider_has_answers_that_it_understands_refused_messages_and_answers_that_it_does_not() -> None:
    for path in SUBMISSIONS:
        mine = [case for case in answers() if case.path == f"/{path}"]
        said = {row["status"] for case in mine for row in case.expected["submissions"] if "status" in row}
        assert said == {"enroute", "rejected"}
        assert {case.expected["http_status"] for case in mine} == {200, 400}
    assert {file.stem for file in FOLDER.glob("*/*.body")} == {file.stem for file in FOLDER.glob("*/*.json")}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("tencent/refused-without-serial-numbers", b"a0aabda6-cf91", b"b1bbbda6-cf91"),
        ("cloudsms/refused", b"2022-03-07 10:00:00", b"2022-03-07 10:00:01"),
        ("cloudsms/refused", b'"SERIAL": 1', b'"SERIAL": 2'),
    ],
)
def test_a_number_that_is_refused_again_in_the_same_words_is_another_message(name, before, after) -> None:
    case = answer(name)
    assert before in case.body
    known = {one.message_id for one in parsed(case.path[1:], case.body).submissions}
    fresh = {one.message_id for one in parsed(case.path[1:], case.body.replace(before, after)).submissions}
    made_up = {name for name in known | fresh if name.startswith("refused-")}
    assert made_up.isdisjoint(known & fresh)
    assert made_up >= known ^ fresh


@given(st.binary() | st.text().map(str.encode))
@example(b'{"result": [{"code": "000000"}]}')
@example(b'{"result": [], "DETAIL_LIST": [], "SendStatusSet": []}')
@example(b'{"result": [1], "DETAIL_LIST": [null], "SendStatusSet": [[]]}')
@example(b'{"Response": {"Response": {}}}')
@example(b'{"result": {"smsMsgId": "1", "status": "000000", "status": "E200041"}}')
@every_provider
def test_no_bytes_surprise_an_adapter(path: str, body: bytes) -> None:
    assert_sound(path, body)


@given(VALUES)
@every_provider
def test_no_json_surprises_an_adapter(path: str, value: object) -> None:
    assert_sound(path, json.dumps(value).encode())


@given(st.data())
@every_provider
def test_no_field_of_an_answer_surprises_an_adapter(path: str, data: st.DataObject) -> None:
    bodies = [case.body for case in answers() if case.path[1:] == path and case.body[:1] == b"{"]
    value = place = json.loads(data.draw(st.sampled_from(bodies)))
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    assert_sound(path, json.dumps(value).encode())


@every_provider
def test_every_cut_and_every_broken_byte_of_an_answer_is_sound(path: str) -> None:
    for body in (case.body for case in answers() if case.path[1:] == path):
        for at in range(0, len(body), 5):
            for broken in (body[:at], body[:at] + b"\xff" + body[at + 1 :], body[:at] + b"0" + body[at + 1 :]):
                assert_sound(path, broken)
