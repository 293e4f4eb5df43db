"""What the log says about real traffic, and what it must never say (design, section 6)."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from support.capture import Style, captured_log
from support.cases import cases
from support.dialects import ENDPOINT_PATHS, good_body
from support.service import Service
from support.shared import shared_service

from receiver.providers import PROVIDERS
from receiver.simulate.dialects import DIALECTS
from receiver.simulate.lifecycles import Plan
from receiver.simulate.traffic import requests
from receiver.telemetry.logs import LogFormat

REPORT_KEYS = [
    "timestamp",
    "level",
    "event",
    "provider",
    "message_id",
    "status",
    "reason",
    "code",
    "recipient",
    "lag_s",
    "request_id",
    "remote",
]
REPLY_KEYS = ["timestamp", "level", "event", "provider", "message_id", "sender", "request_id", "remote"]
NUMBERS = """
SELECT recipient AS number FROM sms.delivery_report
UNION SELECT sender FROM sms.reply UNION SELECT recipient FROM sms.reply
UNION SELECT raw ->> name FROM sms.delivery_report, unnest(ARRAY['to', 'mobile']) AS name
UNION SELECT raw #>> '{SMS_RESULT_LIST,0,DEST_MSISDN}' FROM sms.delivery_report
UNION SELECT raw ->> name FROM sms.reply, unnest(ARRAY['from', 'to', 'mobile']) AS name
"""
TEXTS = "SELECT body AS text FROM sms.reply UNION SELECT detail FROM sms.delivery_report WHERE detail ~ '[^A-Z0-9_: -]'"
"""Some platforms' description is the code again."""
STORED = """
SELECT (SELECT count(*) FROM sms.delivery_report) AS "report.stored",
       (SELECT count(*) FROM sms.reply) AS "reply.stored",
       (SELECT count(*) FROM sms.rejected_payload) AS "payload.rejected"
"""
LONG_ENOUGH = 7
"""Digits of a number, or characters of a text, that do not stand in a line by chance."""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        yield service


async def send_everything(service: Service, seed: int) -> None:
    """Every fixture, and made-up traffic of every provider with its failures, replies and rubbish."""
    for case in cases():
        await service.post(case.url, case.body, **case.headers)
    for dialect in DIALECTS.values():
        plan = Plan(seed=seed, count=60, ends_at=datetime.now(UTC), malformed=0.2, replies=0.5, duplicates=0.1)
        for request in requests(dialect, plan):
            push = request.push
            headers = {**push.headers, "Content-Type": push.content_type}
            status, _ = await service.post(f"/callback/{push.path}", push.body, **headers)
            assert status == request.expected_status


async def secrets(service: Service) -> set[str]:
    """All that was stored of numbers and texts: none of it may be in the log."""
    found = {re.sub(r"\D", "", row["number"] or "") for row in await service.rows(NUMBERS)}
    found |= {number.removeprefix(code) for number in found for code in ("86", "852", "65", "61", "1")}
    found |= {row["text"] or "" for row in await service.rows(TEXTS)}
    return {secret for secret in found if len(secret) >= LONG_ENOUGH}


def values(line: object) -> list[str]:
    if isinstance(line, dict):
        return [text for value in line.values() for text in values(value)]
    return [text for value in line for text in values(value)] if isinstance(line, list) else [str(line)]


async def test_a_line_of_json_says_what_became_of_every_report_and_no_more(service: Service) -> None:
    (before,) = await service.rows(STORED)
    with captured_log("json") as log:
        await send_everything(service, 11)
    lines = log.lines
    (stored,) = await service.rows(STORED)
    assert {name: before[name] + len(log.events(name)) for name in stored} == stored
    assert all(log.events(name) for name in stored)
    assert {line["provider"] for line in log.events("report.stored")} == {provider.name for provider in PROVIDERS}
    assert log.events("report.duplicate")
    for line in log.events("report.stored", "report.duplicate"):
        assert list(line) == REPORT_KEYS
        assert line["level"] == "info"
        assert line["recipient"] is None or "****" in line["recipient"]
        assert line["lag_s"] is None or isinstance(line["lag_s"], float)
        assert line["remote"] == "127.0.0.1"
        assert re.fullmatch(r"[0-9a-f]{16}", line["request_id"])
        assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0
    for line in log.events("reply.stored", "reply.duplicate"):
        assert list(line) == REPLY_KEYS
        assert line["sender"] is None or "****" in line["sender"]
    for line in log.events("payload.rejected"):
        assert line["level"] == "warning"
        assert line["error"]
        assert line["path"].removeprefix("/callback/") in ENDPOINT_PATHS
    told = {text for line in lines for text in values(line)}
    for secret in await secrets(service):
        assert [text for text in told if secret in text] == []
    texts = {row["text"] for row in await service.rows("SELECT body AS text FROM sms.reply")}
    # Ids of their own that are as short as a reply's text: "1", "2".
    assert {text for text in texts & told if not text.isdigit()} == set()


@pytest.mark.parametrize(("style", "seed"), [("console", 12), ("terminal", 13)])
async def test_a_line_for_people_keeps_the_same_secrets(service: Service, style: Style, seed: int) -> None:
    with captured_log(style) as log:
        await send_everything(service, seed)
    for secret in await secrets(service):
        assert secret not in log.text
    assert re.search("report.stored" if style == "console" else r"\d+ more reports: \d+ delivered, ", log.text)
    assert re.search(r"\+8\d{2,6}\*{4}\d{3}", log.text)
    assert "Traceback" not in log.text


async def test_each_line_belongs_to_one_request(service: Service) -> None:
    """A batch's reports share their request's id, and two requests never do."""
    with captured_log() as log:
        for number in range(20):
            await service.post("/callback/huawei/report", good_body("huawei/report", f"one-{number}"))
        items = [json.loads(good_body("tencent/reports", f"many-{number}"))[0] for number in range(20)]
        await service.post("/callback/tencent/reports", json.dumps(items))
    ids = [line["request_id"] for line in log.events("report.stored")]
    assert len(set(ids[:20])) == 20
    assert len(set(ids[20:])) == 1
    assert len(ids) == 40


@pytest.mark.parametrize("style", ["json", "console"])
async def test_nobody_can_forge_a_line(service: Service, style: LogFormat) -> None:
    """A message id, a code and an operator's code are the provider's words: they stay within their line."""
    marker = "2026-11-20T00:00:00.000Z [info] report.stored"
    forged = f"%1B%5B2J%08%0B%0C%0D%C2%85%E2%80%A8%0A{marker}"
    fields = "&".join(f"{name}={style}{forged}" for name in ("smsMsgId", "status", "orgCode"))
    with captured_log(style) as log:
        assert (await service.post("/callback/huawei/report", fields.encode()))[0] == 200
        assert (await service.post("/callback/huawei/report", (fields + "&smsMsgId=y").encode()))[0] == 400
    pieces = log.text.split("\n")
    assert len([piece for piece in pieces if "report.stored" in piece and "request_id" in piece]) == 1
    assert len([piece for piece in pieces if "payload.rejected" in piece]) == 1
    assert not [piece for piece in pieces if piece.startswith(marker)]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", log.text)
