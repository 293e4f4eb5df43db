"""Submissions over HTTP: what the sending application hands over, before, after or without the reports about it."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support import service as services
from support.cases import case
from support.databases import connected
from support.offenders import Offenders
from support.reports import callback
from support.service import Service
from support.shared import shared_service
from support.submissions import Answer, answer, answers, hand_over, huawei
from support.waiting import eventually
from support.writers import writing

from receiver.ingest.accept import parse_inbound
from receiver.providers import SUBMISSIONS, url_path
from receiver.settings import Settings
from receiver.store.durable import DurableStore
from receiver.store.spool import Spool
from receiver.telemetry.metrics import build

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
"""Port 9, discard: nobody listens there."""

MESSAGE = "SELECT * FROM sms.message WHERE message_id = $1"
CORRELATED = "SELECT * FROM sms.submission WHERE correlation = $1"
LONG_AGO = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")

REPORT = "smsMsgId={}&status={}&updateTime=2026-11-20T09%3A15%3A09Z"


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    """For all stories here: each tells of messages of its own."""
    async with shared_service(cluster, template) as service:
        yield service


async def report(service: Service, message_id: str, status: str = "DELIVRD") -> None:
    assert (await service.post("/callback/huawei/report", REPORT.format(message_id, status)))[0] == 200


def value(row: Any) -> Any:
    if isinstance(row, datetime):
        return row.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row


async def test_an_answer_becomes_rows_and_what_is_not_understood_of_it_is_kept(service: Service) -> None:
    offenders = Offenders()
    for given in answers():
        status, said = await hand_over(service, given.path, given.body, correlation=given.name)
        with offenders.of(given.name):
            assert status == given.expected["http_status"]
            if status == 200:
                told = {name: said[name] for name in ("kept_in", "stored", "known")}
                assert told == {"kept_in": "database", "stored": len(given.expected["submissions"]), "known": 0}
            await assert_in_views(service, given)
            await assert_kept(service, given, said)
            if status == 200:
                await assert_known(service, given)
    assert offenders.found == []


async def assert_in_views(service: Service, given: Answer) -> None:
    wanted = given.expected["submissions"]
    rows = await service.rows(CORRELATED, given.name)
    assert len(rows) == len(wanted)
    states = "SELECT DISTINCT message_id, status, reason FROM sms.message WHERE message_id = ANY ($1)"
    messages = await service.rows(states, [row["message_id"] for row in rows])
    assert {tuple(row.values()) for row in messages} == {
        (row["message_id"], row["status"], row["reason"]) for row in rows
    }
    for want in wanted:
        columns = {name: told for name, told in want.items() if name not in {"recipient_key", "context"}}
        if columns.get("submitted_at", "") is None:  # the answer names no time: it was handed over at once
            columns["submitted_at"] = rows[0]["received_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert any(columns.items() <= {name: value(told) for name, told in row.items()}.items() for row in rows), want


async def assert_kept(service: Service, given: Answer, said: dict[str, Any]) -> None:
    query = "SELECT path, body, error, provider FROM sms.rejected_payload WHERE path = $1 AND body = $2"
    rejected = await service.rows(query, given.path, given.body)
    assert len(rejected) == (given.expected["rejected"] is not None)
    for one in rejected:
        assert one["provider"] == given.provider
        assert given.expected["rejected"] in one["error"].lower()
        assert said["error"] == one["error"]


async def assert_known(service: Service, given: Answer) -> None:
    """The same answer again is known, and the first correlation stays."""
    number = len(given.expected["submissions"])
    status, said = await hand_over(service, given.path, given.body, correlation="again")
    assert (status, said["stored"], said["known"]) == (200, 0, number)
    assert len(await service.rows(CORRELATED, given.name)) == number


async def test_a_correlation_is_kept_where_a_log_could_show_it(service: Service) -> None:
    await hand_over(service, "/submissions/huawei", huawei("m-without"))
    query = "SELECT correlation FROM sms.submission WHERE message_id = $1"
    assert await service.rows(query, "m-without") == [{"correlation": None}]
    for correlation in ("x" * 257, "a\nb", "nul\0"):
        status, said = await hand_over(service, "/submissions/huawei", huawei("m-bad"), correlation=correlation)
        assert (status, await service.rows(query, "m-bad")) == (400, [])
        assert "correlation" in said["error"]


@pytest.mark.parametrize("first", ["submission", "report"])
async def test_submission_and_report_meet_in_one_message_whichever_comes_first(service: Service, first: str) -> None:
    name = f"m-{first}-first"
    steps = {
        "submission": lambda: hand_over(service, "/submissions/huawei", huawei(name)),
        "report": lambda: report(service, name),
    }
    await steps.pop(first)()
    (early,) = await service.rows(MESSAGE, name)
    status = {"submission": "enroute", "report": "delivered"}[first]
    assert (early["status"], early["delivery_s"]) == (status, None)
    await steps.popitem()[1]()
    (row,) = await service.rows(MESSAGE, name)
    assert (row["status"], row["recipient"], row["sender"]) == ("delivered", "+8615512345678", "csms100000001")
    assert (value(row["submitted_at"]), row["delivery_s"]) == ("2026-11-20T09:15:04Z", 5.0)
    assert (row["segments"], row["segments_reported"]) == (1, 1)


async def test_a_refused_message_is_rejected_with_its_reason_and_never_overdue(service: Service) -> None:
    await hand_over(service, "/submissions/huawei", huawei("m-refused", "E200041", createTime=LONG_AGO))
    await hand_over(service, "/submissions/huawei", huawei("m-taken", createTime=LONG_AGO))
    (row,) = await service.rows(MESSAGE, "m-refused")
    told = (row["status"], row["reason"], row["code"], row["final"], row["segments_reported"])
    assert told == ("rejected", "duplicate_recipient", "E200041", True, 0)
    overdue = "SELECT message_id FROM sms.overdue_message WHERE message_id LIKE 'm-%'"
    await eventually(lambda: _count(service, overdue, 1))
    assert await service.rows(overdue) == [{"message_id": "m-taken"}]


@pytest.mark.parametrize("first", ["submission", "report"])
async def test_recipients_under_one_id_meet_their_own_reports(service: Service, first: str) -> None:
    """CloudSMS: one SMS_UID may stand over several recipients."""
    given, uid = answer("cloudsms/one-uid-over-two-recipients"), f"{first}-first"
    packet = {
        "METHOD": "SMS_PUSH_REPORT",
        "TYPE": "REQUEST",
        "SERIAL": 2,
        "REPORT_TIME": "2022-03-07 10:00:09",
        "SMS_UID": uid,
        "SMS_RESULT_LIST": [
            {"COUNTRY_CODE": 852, "DEST_MSISDN": "67123411", "SMS_STATE": 2},
            {"COUNTRY_CODE": "852", "DEST_MSISDN": "+85267123428", "SMS_STATE": 5},
        ],
    }
    steps = {
        "submission": lambda: hand_over(service, given.path, given.body.replace(b"5A3B394096E50X03", uid.encode())),
        "report": lambda: service.post("/callback/cloudsms/report", json.dumps(packet)),
    }
    await steps.pop(first)()
    await steps.popitem()[1]()
    query = "SELECT recipient, status, delivery_s FROM sms.message WHERE message_id = $1 ORDER BY recipient"
    rows = await service.rows(query, uid)
    assert rows == [
        {"recipient": "+85267123411", "status": "delivered", "delivery_s": 9.0},
        {"recipient": "+85267123428", "status": "undeliverable", "delivery_s": None},
    ]


async def test_while_the_database_is_down_it_is_spooled_and_drained_with_its_correlation(
    make_settings: Callable[..., Settings], sql: asyncpg.Connection
) -> None:
    """A push with a wrong signature never becomes a report by this way, though its body alone is a good one."""
    sample = case("huawei/single-vendor-sample")
    signing = {"push_keys": "huawei:key:secret", "keep_unsigned": True}
    settings = make_settings(database_url=NOWHERE, **signing)
    sql_url = make_settings().database_url.get_secret_value()
    async with services.running(settings, sql_url=sql_url) as away:
        status, said = await hand_over(away, "/submissions/huawei", huawei("m-1"), correlation="order-7")
        assert (status, said) == (200, {"kept_in": "spool", "stored": 0, "known": 0, "error": None})
        status, said = await hand_over(away, "/submissions/tencent", b"nonsense")
        assert (status, "not json" in said["error"].lower()) == (400, True)
        assert (await away.post(sample.path, sample.body, **sample.headers))[0] == 401
    async with services.running(make_settings()) as back:  # and even where nobody asks for signatures
        await eventually(lambda: _count(back, "SELECT * FROM sms.rejected_payload", 2))
    assert [tuple(row) for row in await sql.fetch("SELECT message_id, correlation FROM sms.submission")] == [
        ("m-1", "order-7")
    ]
    nonsense, unsigned = await sql.fetch("SELECT path, body, error FROM sms.rejected_payload ORDER BY received_at")
    assert (nonsense["path"], nonsense["body"]) == ("/submissions/tencent", b"nonsense")
    assert (unsigned["path"], unsigned["body"]) == (sample.path, sample.body)
    assert unsigned["error"].startswith("not signed by the platform")
    assert await sql.fetch("SELECT * FROM sms.delivery_report") == []
    assert await sql.fetchval("SELECT count(*) FROM sms.message") == 1


async def _count(service: Service, query: str, number: int) -> bool:
    return len(await service.rows(query)) == number


async def test_strangers_on_the_public_listener_find_nothing(service: Service) -> None:
    rejected = "SELECT count(*) FROM sms.rejected_payload"
    before = await service.rows(rejected)
    for path in sorted(map(url_path, SUBMISSIONS)):
        for url in (path, f"/callback{path}"):
            assert (await service.post(url, huawei("m-stranger")))[0] == 404
        async with service.client.get(service.ops_url + path) as response:
            assert response.status == 405
    assert await service.rows(MESSAGE, "m-stranger") == []
    assert await service.rows(rejected) == before


async def test_a_message_with_too_many_submissions_refuses_the_next_one_aloud(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.store.sql.MAX_REPORTS_A_MESSAGE", 1)
    spool = Spool(tmp_path / "spool", 1 << 20)
    async with writing(database) as writer, connected(database) as connection:
        await connection.execute("SELECT sms_data.create_partitions('2026-11-20')")
        keeper = DurableStore(writer, spool, build("test"), deadline_s=20.0)
        for code in ("000000", "E200041"):
            given = callback(body=huawei("m-1", code))._replace(path="submissions/huawei")
            _, job = await parse_inbound(given)
            kept = await keeper.keep(job)
        assert list(kept.receipt.refused) == job.ids
        assert await connection.fetchval("SELECT path FROM sms.rejected_payload") == "/submissions/huawei"
        assert await connection.fetchval("SELECT count(*) FROM sms.submission") == 1
    await spool.close()
