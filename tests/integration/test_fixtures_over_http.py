"""Every fixture over HTTP: the answer, the rows behind it, and the messages that they add up to."""

import json
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import pytest
from support.cases import Case, cases
from support.offenders import Offenders
from support.parsing import parsed_case
from support.service import Service
from support.shared import shared_service

from receiver.providers import ENDPOINTS

COUNTS = """
SELECT (SELECT count(*) FROM sms.delivery_report) AS reports,
       (SELECT count(*) FROM sms.reply) AS replies,
       (SELECT count(*) FROM sms.rejected_payload) AS rejected
"""
REPORTS = "SELECT * FROM sms.delivery_report WHERE report_id = ANY ($1)"
REPLIES = "SELECT * FROM sms.reply WHERE reply_id = ANY ($1)"
MESSAGES = "SELECT * FROM sms.message WHERE provider = $1 AND message_id = ANY ($2)"
REJECTED = "SELECT * FROM sms.rejected_payload WHERE path = $1 AND body = $2"

JSON_COLUMNS = {"raw", "context"}
TIME_COLUMNS = {"happened_at", "sent_at"}
OF_BOTH = ("provider", "message_id", "recipient", "country", "sender", "code", "happened_at", "context")
"""What a message with a single report has from it."""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        yield service


def plain(row: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """The named columns, in the form in which a fixture writes them."""
    values = {name: row[name] for name in names}
    for name in JSON_COLUMNS & values.keys():
        values[name] = values[name] and json.loads(values[name])
    for name in TIME_COLUMNS & values.keys():
        values[name] = values[name] and values[name].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return values


def assert_same(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """As many rows as expected, each of them one that is, and none missing."""
    assert len(rows) == len(expected)
    for want in expected:
        assert want in [plain(row, want) for row in rows]
    for row in rows:
        assert any(plain(row, want) == want for want in expected)


async def counts(service: Service) -> dict[str, int]:
    (row,) = await service.rows(COUNTS)
    return row


async def assert_answered(service: Service, case: Case) -> None:
    status, answer = await service.post(case.url, case.body, **case.headers)
    assert status == case.expected["http_status"]
    case.assert_answered(answer)


async def assert_stored(service: Service, case: Case) -> None:
    got = parsed_case(case)
    reports = await service.rows(REPORTS, [report.report_id for report in got.reports])
    assert_same(reports, case.expected["reports"])
    replies = await service.rows(REPLIES, [reply.reply_id for reply in got.replies])
    assert_same(replies, case.expected.get("replies", []))
    if reports:
        ids = [report["message_id"] for report in reports]
        assert_messages(reports, await service.rows(MESSAGES, reports[0]["provider"], ids))


def assert_messages(reports: list[dict[str, Any]], messages: list[dict[str, Any]]) -> None:
    """Each report has its message, and the only report of a message is its state."""
    known = {(message["message_id"], message["recipient"]) for message in messages}
    assert {(report["message_id"], report["recipient"]) for report in reports} == known
    if len(reports) > 1:
        return
    (report,), (message,) = reports, messages
    assert {name: message[name] for name in OF_BOTH} == {name: report[name] for name in OF_BOTH}
    assert message["segments_reported"] == 1
    assert message["segments"] == max(report["segments"] or 1, report["segment"] or 1)
    if message["segments"] == 1:
        assert (message["status"], message["reason"]) == (report["status"], report["reason"])
    assert message["first_received_at"] == message["last_received_at"] == report["received_at"]


async def assert_kept(service: Service, case: Case) -> None:
    rows = await service.rows(REJECTED, case.kept_path, case.body)
    assert len(rows) == (case.expected["rejected"] is not None)
    for row in rows:
        assert row["content_type"] == case.expected["content_type"]
        assert case.expected["rejected"] in row["error"].lower()
        assert row["replayed_at"] is None


def report_ids(case: Case) -> list[str]:
    return [report.report_id for report in parsed_case(case).reports]


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
async def test_every_fixture_is_answered_and_stored_as_it_says(service: Service, path: str) -> None:
    mine = [case for case in cases() if case.expected["endpoint"] == path]
    offenders = Offenders()
    before = await counts(service)
    for case in mine:
        with offenders.of(case.name):
            await assert_answered(service, case)
    # On other connections than the service's: what is seen here is committed.
    after = await counts(service)
    for case in mine:
        with offenders.of(case.name):
            await assert_stored(service, case)
            await assert_kept(service, case)
    assert offenders.found == []
    assert after == {
        "reports": before["reports"] + len({report_id for case in mine for report_id in report_ids(case)}),
        "replies": before["replies"] + sum(len(case.expected.get("replies", [])) for case in mine),
        "rejected": before["rejected"] + sum(case.expected["rejected"] is not None for case in mine),
    }
    for case in mine:
        if case.expected["http_status"] == 200:
            with offenders.of(f"{case.name}, come again"):
                await assert_answered(service, case)
    again = await counts(service)
    assert offenders.found == []
    assert (again["reports"], again["replies"]) == (after["reports"], after["replies"])
