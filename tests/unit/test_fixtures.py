"""Every fixture through its adapter: what it understands, what it does not, and what it answers."""

import json
from datetime import UTC
from typing import Any

import pytest
from support.cases import FOLDER, Case, cases
from support.parsing import parsed_case, understood

from receiver.providers import ENDPOINTS, PROVIDERS
from receiver.providers.base import Verdict
from receiver.report import FINAL


def column(row: Any, name: str) -> Any:
    if name == "final":
        return row.status in FINAL
    value = getattr(row, name)
    if name in {"happened_at", "sent_at"}:
        return value and value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.loads(value) if name in {"raw", "context"} and value else value


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_adapter_makes_of_it_and_answers_what_the_fixture_says(case: Case) -> None:
    got = parsed_case(case)
    for kind in ("reports", "replies"):
        expected = case.expected.get(kind, [])
        rows = getattr(got, kind)
        assert [
            {name: column(row, name) for name in want} for row, want in zip(rows, expected, strict=True)
        ] == expected
    assert (got.expected_path if understood(got) else None) == case.expected.get("expected_path")
    assert understood(got) == (case.expected["http_status"] == 200)
    if case.expected["rejected"] is None:
        assert got.faults == []
    else:
        assert case.expected["rejected"] in "; ".join(got.faults).lower()
        assert got.faults
    verdict = Verdict.GOOD if understood(got) else Verdict.NOT_UNDERSTOOD
    endpoint = ENDPOINTS[case.expected["endpoint"]]
    answer = endpoint.answer(verdict, "why", got.answer_context).decode()
    case.assert_answered(json.loads(answer) if "json" in endpoint.media_type else answer)


def test_every_endpoint_has_one_template() -> None:
    """The tests that go to every URL make their bodies of it."""
    templates = [case.expected["endpoint"] for case in cases() if "template" in case.expected]
    assert sorted(templates) == sorted(ENDPOINTS)


def test_every_endpoint_has_a_good_fixture_and_a_bad_one() -> None:
    statuses = {(case.expected["endpoint"], case.expected["http_status"]) for case in cases()}
    assert statuses == {(path, status) for path in ENDPOINTS for status in (200, 400)}


def test_every_body_among_the_fixtures_has_its_expectation() -> None:
    for provider in PROVIDERS:
        bodies = {file.stem for file in (FOLDER / provider.name).glob("*.body")}
        assert bodies == {file.stem for file in (FOLDER / provider.name).glob("*.json")}
