"""Every fixture over HTTP into one database: the answer, the rows, and that they are there once it is given."""

import json
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import pytest
from support.cases import Case, cases
from support.service import Service
from support.shared import shared_service

COUNTS = """
SELECT (SELECT count(*) FROM sms.delivery_report) AS reports,
       (SELECT count(*) FROM sms.reply) AS replies,
       (SELECT count(*) FROM sms.rejected_payload) AS rejected
"""
REPORTS = "SELECT * FROM sms.delivery_report WHERE provider = $1 AND message_id = ANY ($2)"
REPLIES = "SELECT * FROM sms.reply WHERE provider = $1 ORDER BY received_at DESC LIMIT $2"
MESSAGES = "SELECT * FROM sms.message WHERE provider = $1 AND message_id = ANY ($2)"
LAST_REJECTED = "SELECT * FROM sms.rejected_payload ORDER BY received_at DESC LIMIT 1"

JSON_COLUMNS = {"raw", "context"}
TIME_COLUMNS = {"happened_at", "sent_at"}


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


async def stored_reports(service: Service, case: Case, query: str = REPORTS) -> list[dict[str, Any]]:
    expected = case.expected["reports"]
    if not expected:
        return []
    return await service.rows(query, expected[0]["provider"], [row["message_id"] for row in expected])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
async def test_it_is_answered_and_stored_as_the_fixture_says(service: Service, case: Case) -> None:
    expected = case.expected
    reports, replies = expected["reports"], expected.get("replies", [])
    before = await counts(service)

    status, answer = await service.post(case.path, case.body, **case.headers)
    # On another connection than the service's: what is seen here is committed.
    after = await counts(service)

    assert status == expected["http_status"]
    assert {name: answer.get(name) for name in expected["answer"]} == expected["answer"]
    assert after == {
        "reports": before["reports"] + len(reports),
        "replies": before["replies"] + len(replies),
        "rejected": before["rejected"] + (expected["rejected"] is not None),
    }
    assert_same(await stored_reports(service, case), reports)
    if replies:
        assert_same(await service.rows(REPLIES, replies[0]["provider"], len(replies)), replies)
    if expected["rejected"] is not None:
        (rejected,) = await service.rows(LAST_REJECTED)
        assert rejected["body"] == case.body
        assert rejected["path"] == case.path
        assert rejected["content_type"] == expected["content_type"]
        assert expected["rejected"] in rejected["error"].lower()
        assert rejected["replayed_at"] is None
    if status == 200:
        again, second = await service.post(case.path, case.body, **case.headers)
        assert again == 200
        assert {name: second.get(name) for name in expected["answer"]} == expected["answer"]
        repeated = await counts(service)
        assert (repeated["reports"], repeated["replies"]) == (after["reports"], after["replies"])


def only_report(case: Case) -> bool:
    return case.expected["http_status"] == 200 and len(case.expected["reports"]) == 1


@pytest.mark.parametrize("case", [case for case in cases() if only_report(case)], ids=lambda case: case.name)
async def test_the_only_report_of_a_message_is_its_state(service: Service, case: Case) -> None:
    await service.post(case.path, case.body, **case.headers)
    (report,) = await stored_reports(service, case)
    (message,) = await stored_reports(service, case, MESSAGES)
    shared = ("provider", "message_id", "recipient", "country", "sender", "code", "happened_at", "context")
    assert {name: message[name] for name in shared} == {name: report[name] for name in shared}
    assert message["segments_reported"] == 1
    assert message["segments"] == max(report["segments"] or 1, report["segment"] or 1)
    if message["segments"] == 1:
        assert (message["status"], message["reason"]) == (report["status"], report["reason"])
    assert message["first_received_at"] == message["last_received_at"] == report["received_at"]


@pytest.mark.parametrize("case", [case for case in cases() if case.expected["reports"]], ids=lambda case: case.name)
async def test_every_report_of_a_batch_has_its_message(service: Service, case: Case) -> None:
    await service.post(case.path, case.body, **case.headers)
    messages = await stored_reports(service, case, MESSAGES)
    for want in case.expected["reports"]:
        recipients = {row["recipient"] for row in messages if row["message_id"] == want["message_id"]}
        assert want.get("recipient") in recipients or ("recipient" not in want and recipients)
