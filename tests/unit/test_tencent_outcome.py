"""What Tencent's SUCCESS and FAIL make of each code: they decide, pushed and pulled alike."""

import json

import pytest
from support.parsing import parse
from support.tencent_api import report

from receiver.catalogue import Code, entries
from receiver.providers.tencent import outcome
from receiver.providers.tencent_pulled import REPORTS as PULLED_REPORTS
from receiver.report import FINAL, Reason, Status

CODES = [row for row in entries() if row.provider == "tencent"]
NO_FAILURES = [row for row in CODES if row.reason is None]


@pytest.mark.parametrize("row", NO_FAILURES, ids=lambda row: row.code)
def test_a_failure_is_final_whatever_its_code_says(row: Code) -> None:
    """FAIL with ACCEPTD was stored as accepted, and waited for ever."""
    assert outcome("FAIL", row.code) == (Status.UNDELIVERABLE, Reason.UNKNOWN)


def test_a_failure_has_the_cause_that_its_code_names() -> None:
    for row in CODES:
        status, reason = outcome("FAIL", row.code)
        assert status in FINAL - {Status.DELIVERED}
        if row.reason is not None:
            assert (status, reason) == (row.status, row.reason)


def test_a_success_is_a_delivery_whatever_its_code_says() -> None:
    assert {outcome("SUCCESS", row.code) for row in CODES} == {(Status.DELIVERED, None)}


def test_a_word_that_is_neither_decides_nothing() -> None:
    assert {outcome(word, row.code) for word in ("PENDING", None) for row in CODES} == {(Status.UNKNOWN, None)}


def test_a_pulled_failure_is_final_too() -> None:
    failed = report(1, ReportStatus="FAIL", Description="ACCEPTD")
    parsed = parse(PULLED_REPORTS, json.dumps([failed]).encode())
    assert [(r.status, r.reason, r.code) for r in parsed.reports] == [(Status.UNDELIVERABLE, Reason.UNKNOWN, "ACCEPTD")]
