"""What the adapters make of the answers of the platforms' send APIs."""

import json
from datetime import UTC
from typing import Any

import pytest
from support.parsing import parsed, understood
from support.submissions import FOLDER, Answer, answer, answers

from receiver.providers import SUBMISSIONS
from receiver.report import Submission

every_answer = pytest.mark.parametrize("case", answers(), ids=lambda case: case.name)


def column(row: Submission, name: str) -> Any:
    value = getattr(row, name)
    if name == "submitted_at":
        return value and value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.loads(value) if name == "context" and value else value


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
