"""Submissions over HTTP: what the sending application hands over, before, after or without the reports about it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import service as services
from support.cases import case
from support.databases import connected
from support.offenders import Offenders
from support.service import Service
from support.shared import shared_service
from support.submissions import Answer, answer, answers, hand_over, huawei
from support.waiting import eventually
from support.writers import writing

from receiver import service as lifecycle
from receiver.inbound import Inbound
from receiver.ingest.understand import parse_inbound
from receiver.providers import SUBMISSIONS, url_path
from receiver.settings import Settings
from receiver.store.durable import DurableStore
from receiver.store.spool import Spool
from receiver.store.spool_file import SpoolFile
from receiver.store.spool_open import FILE_NAME
from receiver.telemetry.metrics import build

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
"""Port 9, discard: nobody listens there."""

MESSAGE = "SELECT * FROM sms.message WHERE message_id = $1"
OVERDUE = "SELECT * FROM sms.overdue_message"
LONG_AGO = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")

REPORT = "smsMsgId={}&status={}&updateTime=2026-11-20T09%3A15%3A09Z"


@pytest.fixture(scope="module")
async def shared(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        yield service


async def report(service: Service, message_id: str, status: str = "DELIVRD") -> None:
    assert (await service.post("/callback/huawei/report", REPORT.format(message_id, status)))[0] == 200


def value(row: Any) -> Any:
    if isinstance(row, datetime):
        return row.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row


async def test_an_answer_becomes_rows_and_what_is_not_understood_of_it_is_kept(shared: Service) -> None:
    offenders = Offenders()
    for given in answers():
        status, said = await hand_over(shared, given.path, given.body, correlation=given.name)
        with offenders.of(given.name):
            assert status == given.expected["http_status"]
            if status == 200:
                told = {name: said[name] for name in ("kept_in", "stored", "known")}
                assert told == {"kept_in": "database", "stored": len(given.expected["submissions"]), "known": 0}
            await assert_in_views(shared, given)
            await assert_kept(shared, given, said)
    assert offenders.found == []


async def assert_in_views(shared: Service, given: Answer) -> None:
    wanted = given.expected["submissions"]
    rows = await shared.rows("SELECT * FROM sms.submission WHERE correlation = $1", given.name)
    assert len(rows) == len(wanted)
    states = "SELECT DISTINCT message_id, status, reason FROM sms.message WHERE message_id = ANY ($1)"
    messages = await shared.rows(states, [row["message_id"] for row in rows])
    assert {tuple(row.values()) for row in messages} == {
        (row["message_id"], row["status"], row["reason"]) for row in rows
    }
    for want in wanted:
        columns = {name: told for name, told in want.items() if name not in {"recipient_key", "context"}}
        if columns.get("submitted_at", "") is None:  # the answer names no time: it was handed over at once
            columns["submitted_at"] = rows[0]["received_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert any(columns.items() <= {name: value(told) for name, told in row.items()}.items() for row in rows), want


async def assert_kept(shared: Service, given: Answer, said: dict[str, Any]) -> None:
    query = "SELECT path, body, error, provider FROM sms.rejected_payload WHERE path = $1 AND body = $2"
    rejected = await shared.rows(query, given.path, given.body)
    assert len(rejected) == (given.expected["rejected"] is not None)
    for one in rejected:
        assert one["provider"] == given.provider
        assert given.expected["rejected"] in one["error"].lower()
        assert said["error"] == one["error"]


@pytest.mark.parametrize("name", ["huawei/one-taken-two-refused", "cloudsms/refused", "tencent/with-response"])
async def test_the_same_answer_again_is_known_and_the_first_correlation_stays(service: Service, name: str) -> None:
    given = answer(name)
    number = len(given.expected["submissions"])
    await hand_over(service, given.path, given.body, correlation="first")
    status, said = await hand_over(service, given.path, given.body, correlation="second")
    assert (status, said["stored"], said["known"]) == (200, 0, number)
    assert await service.rows("SELECT DISTINCT correlation FROM sms.submission") == [{"correlation": "first"}]
    assert len(await service.rows("SELECT * FROM sms.message")) == number


async def test_without_a_correlation_there_is_none(service: Service) -> None:
    await hand_over(service, "/submissions/huawei", huawei("m-1"))
    assert await service.rows("SELECT correlation FROM sms.submission") == [{"correlation": None}]


@pytest.mark.parametrize("correlation", ["x" * 257, "a\nb", "nul\0"])
async def test_a_correlation_that_no_log_could_show_is_refused(service: Service, correlation: str) -> None:
    status, said = await hand_over(service, "/submissions/huawei", huawei("m-1"), correlation=correlation)
    assert (status, await service.rows("SELECT * FROM sms.submission")) == (400, [])
    assert "correlation" in said["error"]


@pytest.mark.parametrize("first", ["submission", "report"])
async def test_submission_and_report_meet_in_one_message_whichever_comes_first(service: Service, first: str) -> None:
    steps = {
        "submission": lambda: hand_over(service, "/submissions/huawei", huawei("m-1")),
        "report": lambda: report(service, "m-1"),
    }
    await steps.pop(first)()
    (early,) = await service.rows(MESSAGE, "m-1")
    assert (early["status"], early["delivery_s"]) == (
        ("enroute", None) if first == "submission" else ("delivered", None)
    )
    await steps.popitem()[1]()
    (row,) = await service.rows(MESSAGE, "m-1")
    assert (row["status"], row["recipient"], row["sender"]) == ("delivered", "+8615512345678", "csms100000001")
    assert (value(row["submitted_at"]), row["delivery_s"]) == ("2026-11-20T09:15:04Z", 5.0)
    assert (row["segments"], row["segments_reported"]) == (1, 1)


async def test_a_refused_message_is_rejected_with_its_reason_and_never_overdue(service: Service) -> None:
    await hand_over(service, "/submissions/huawei", huawei("m-refused", "E200041", createTime=LONG_AGO))
    await hand_over(service, "/submissions/huawei", huawei("m-taken", createTime=LONG_AGO))
    (row,) = await service.rows(MESSAGE, "m-refused")
    assert (row["status"], row["reason"], row["code"], row["final"]) == (
        "rejected",
        "duplicate_recipient",
        "E200041",
        True,
    )
    assert row["segments_reported"] == 0
    await eventually(lambda: _is_overdue(service))
    assert [row["message_id"] for row in await service.rows(OVERDUE)] == ["m-taken"]


async def _is_overdue(service: Service) -> bool:
    return bool(await service.rows(OVERDUE))


@pytest.mark.parametrize("first", ["submission", "report"])
async def test_recipients_under_one_id_meet_their_own_reports(service: Service, first: str) -> None:
    """CloudSMS: one SMS_UID may stand over several recipients."""
    given = answer("cloudsms/one-uid-over-two-recipients")
    packet = {
        "METHOD": "SMS_PUSH_REPORT",
        "TYPE": "REQUEST",
        "SERIAL": 2,
        "REPORT_TIME": "2022-03-07 10:00:09",
        "SMS_UID": "5A3B394096E50X03",
        "SMS_RESULT_LIST": [
            {"COUNTRY_CODE": 852, "DEST_MSISDN": "67123411", "SMS_STATE": 2},
            {"COUNTRY_CODE": "852", "DEST_MSISDN": "+85267123428", "SMS_STATE": 5},
        ],
    }
    steps = {
        "submission": lambda: hand_over(service, given.path, given.body),
        "report": lambda: service.post("/callback/cloudsms/report", json.dumps(packet)),
    }
    await steps.pop(first)()
    await steps.popitem()[1]()
    rows = await service.rows("SELECT recipient, status, delivery_s FROM sms.message ORDER BY recipient")
    assert rows == [
        {"recipient": "+85267123411", "status": "delivered", "delivery_s": 9.0},
        {"recipient": "+85267123428", "status": "undeliverable", "delivery_s": None},
    ]


async def test_while_the_database_is_down_it_is_spooled_and_drained_with_its_correlation(
    make_settings: Callable[..., Settings], service: Service
) -> None:
    settings = make_settings(database_url=NOWHERE, data_dir=service.settings.data_dir / "away")
    async with lifecycle.running(settings, asyncio.Event()) as listeners:
        away = services.Service(
            listeners.public.url, listeners.ops.url, service.client, service.sql, settings, asyncio.Event()
        )
        status, said = await hand_over(away, "/submissions/huawei", huawei("m-1"), correlation="order-7")
        assert (status, said) == (200, {"kept_in": "spool", "stored": 0, "known": 0, "error": None})
        status, said = await hand_over(away, "/submissions/tencent", b"nonsense")
        assert (status, "not json" in said["error"].lower()) == (400, True)
    back = make_settings(data_dir=settings.data_dir)
    async with services.running(back):
        await eventually(lambda: _count(service, "SELECT * FROM sms.rejected_payload", 1))
    rows = await service.rows("SELECT message_id, correlation FROM sms.submission")
    assert rows == [{"message_id": "m-1", "correlation": "order-7"}]
    assert await service.rows("SELECT path, body FROM sms.rejected_payload") == [
        {"path": "/submissions/tencent", "body": b"nonsense"}
    ]


async def _count(service: Service, query: str, number: int) -> bool:
    return len(await service.rows(query)) == number


async def test_a_push_with_a_wrong_signature_never_becomes_a_report_by_way_of_the_spool(
    make_settings: Callable[..., Settings], service: Service
) -> None:
    """The body alone is a good report: from the spool, too, it may only be kept as rejected."""
    sample = case("huawei/single-vendor-sample")
    given = {"push_keys": "huawei:key:secret", "keep_unsigned": True}
    settings = make_settings(database_url=NOWHERE, data_dir=service.settings.data_dir / "away", **given)
    async with lifecycle.running(settings, asyncio.Event()) as listeners:
        url = listeners.public.url + sample.path
        async with service.client.post(url, data=sample.body, headers=sample.headers) as response:
            assert response.status == 401
    async with services.running(make_settings(data_dir=settings.data_dir)):  # and even where nobody asks for signatures
        await eventually(lambda: _count(service, "SELECT * FROM sms.rejected_payload", 1))
    (kept,) = await service.rows("SELECT path, body, error FROM sms.rejected_payload")
    assert (kept["path"], kept["body"]) == (sample.path, sample.body)
    assert kept["error"].startswith("not signed by the platform")
    for view in ("delivery_report", "message"):
        assert await service.rows(f"SELECT * FROM sms.{view}") == []


@pytest.mark.parametrize("path", sorted(map(url_path, SUBMISSIONS)))
async def test_strangers_on_the_public_listener_find_nothing(service: Service, path: str) -> None:
    for url in (path, f"/callback{path}"):
        status, _ = await service.post(url, huawei("m-1"))
        assert status == 404
    async with service.client.get(service.ops_url + path) as response:
        assert response.status == 405
    assert await service.rows("SELECT * FROM sms.message") == []
    assert await service.rows("SELECT * FROM sms.rejected_payload") == []


async def test_a_spool_of_an_older_version_keeps_what_is_in_it_and_takes_more(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    old = sqlite3.connect(folder / FILE_NAME)
    old.execute("""
        CREATE TABLE callback (
            id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, body BLOB NOT NULL, content_type TEXT,
            received_us INTEGER NOT NULL, remote_addr TEXT, request_id TEXT NOT NULL)""")
    old.execute("INSERT INTO callback VALUES (1, 'huawei/report', 'old', NULL, 1790000000000000, NULL, 'r-1')")
    old.commit()
    old.close()
    for _ in range(2):
        spool = SpoolFile(folder, 1 << 20)
        first = spool.read(10)[0][1]
        assert (first.body, first.correlation, first.skip_parsing_reason) == ("old", None, None)
        spool.append([_callback(b"new")])
        assert spool.read(10)[-1][1] == _callback(b"new")
        spool.close()


def _callback(body: bytes) -> Inbound:
    return Inbound(
        path="submissions/huawei",
        body=body,
        content_type=None,
        received_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        remote_addr=None,
        request_id="r-2",
        correlation="order-7",
    )


async def test_a_message_with_too_many_submissions_refuses_the_next_one_aloud(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.store.sql.MAX_REPORTS_A_MESSAGE", 1)
    spool = Spool(tmp_path / "spool", 1 << 20)
    async with writing(database) as writer, connected(database) as connection:
        await connection.execute("SELECT sms_data.create_partitions('2026-11-20')")
        keeper = DurableStore(writer, spool, build("test"), deadline_s=20.0)
        for code in ("000000", "E200041"):
            _, job = await parse_inbound(_callback(huawei("m-1", code)))
            kept = await keeper.keep(job)
        assert list(kept.receipt.refused) == job.ids
        assert await connection.fetchval("SELECT path FROM sms.rejected_payload") == "/submissions/huawei"
        assert await connection.fetchval("SELECT count(*) FROM sms.submission") == 1
    await spool.close()
