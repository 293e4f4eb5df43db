"""What PostgreSQL does not write within the time-out, though it writes others, holds nobody up and is not lost."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support import service as services
from support.amplified import AMPLIFIED, nested, packet
from support.capture import captured_log
from support.databases import emptied
from support.draining import drained, draining
from support.reports import job, report
from support.service import Service
from support.shared import shared_service
from support.waiting import eventually
from support.writers import writing

from receiver.ingest import quarantine
from receiver.settings import Settings
from receiver.store.spool import Spool
from receiver.telemetry.metrics import build

SLOW = """
CREATE FUNCTION takes_long(code text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF code = 'SLOW' THEN
        PERFORM pg_sleep(60);
    END IF;
    RETURN true;
END $$;
ALTER TABLE sms_data.report ADD CONSTRAINT slow CHECK (takes_long(code));
"""
"""Something about a row that no time-out is long enough for."""

REPORT, BATCH, PACKET = "/callback/huawei/report", "/callback/huawei/reports", "/callback/cloudsms/report"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of an hour of waiting in two seconds."""
    monkeypatch.setattr(quarantine, "_DELAYS_S", (0.2, 0.2, 0.2))


@pytest.fixture
async def slow(sql: asyncpg.Connection, make_settings) -> AsyncIterator[Service]:
    """A service in front of a PostgreSQL that takes a minute for each report with the code SLOW."""
    await sql.execute(SLOW)
    async with services.running(make_settings(database_timeout_s=0.5, answer_deadline_s=4.0)) as running:
        yield running


@pytest.fixture(scope="module")
async def shared(cluster: str, template: str) -> AsyncIterator[Service]:
    """As impatient as any."""
    times = {name: Settings.model_fields[name].default for name in ("database_timeout_s", "answer_deadline_s")}
    async with shared_service(cluster, template, **times) as running:
        yield running


@pytest.fixture
async def service(shared: Service) -> Service:
    async with emptied(shared.settings.database_url.get_secret_value()):
        return shared


async def spool_is_empty(service: Service) -> None:
    async def is_empty() -> bool:
        return await service.metric("receiver_spool_payloads ") == 0

    await eventually(is_empty)


async def stored(connection: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await connection.fetch("SELECT message_id FROM sms.delivery_report")}


async def test_one_slow_report_keeps_postgresql_open_for_everybody_else(slow: Service):
    """S1: it closed the breaker's way back for ever, and honest reports went nowhere but into the spool."""
    assert (await slow.post(REPORT, "smsMsgId=slow&status=SLOW"))[0] == 200
    for n in range(20):
        assert (await slow.post(REPORT, f"smsMsgId=honest-{n}&status=DELIVRD"))[0] == 200
        await asyncio.sleep(0.1)

    async def all_honest_ones_are_there() -> bool:
        return await stored(slow.sql) >= {f"honest-{n}" for n in range(20)}

    await eventually(all_honest_ones_are_there)
    with captured_log() as log:
        assert (await slow.post(REPORT, "smsMsgId=last&status=DELIVRD"))[0] == 200
    assert [line["event"] for line in log.lines if "report" in line["event"]] == ["report.stored"], (
        "the breaker is closed"
    )


async def test_what_is_too_slow_row_by_row_is_kept_as_rejected_and_told_of(slow: Service):
    items = [{"smsMsgId": f"m-{n}", "status": "SLOW" if n == 17 else "DELIVRD"} for n in range(40)]
    body = json.dumps({"statusReportList": items}).encode()
    with captured_log() as log:
        assert (await slow.post(BATCH, body))[0] == 200
        await spool_is_empty(slow)
    assert await stored(slow.sql) == {f"m-{n}" for n in range(40) if n != 17}
    (kept,) = await slow.rows("SELECT body, error FROM sms.rejected_payload")
    assert kept["body"] == body
    assert "RECEIVER_DATABASE_TIMEOUT_S" in kept["error"]
    assert {"spool.quarantined", "payload.rejected"} <= {line["event"] for line in log.lines}
    assert await slow.metric("receiver_spool_quarantined ") == 0
    assert await slow.metric("receiver_spool_payloads ") == 0


async def test_what_is_only_locked_for_a_while_is_stored_and_not_rejected(database, sql, tmp_path, monkeypatch):
    """Somebody holds the row of a message: that says nothing about the report."""
    monkeypatch.setattr(quarantine, "_DELAYS_S", (0.5, 30.0))
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 20)
    async with writing(database, metrics, timeout_s=0.5) as writer:
        await writer.write(job(report("ACCEPTD", message_id="m-1")))
        holder = await asyncpg.connect(database)
        held = holder.transaction()
        await held.start()
        await holder.execute("SELECT FROM sms_data.message FOR UPDATE")
        for n in range(3):
            await spool.put(job(body=f"smsMsgId=m-{n}&status=DELIVRD".encode()).callback)
        async with draining(database, writer, spool, metrics, timeout_s=0.5):
            await eventually(lambda: spool.depth.callbacks == 1)
            await held.rollback()
            await drained(spool)
        await holder.close()
    await spool.close()
    assert await stored(sql) == {"m-0", "m-1", "m-2"}
    assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 0


@pytest.mark.parametrize("name", AMPLIFIED)
async def test_a_body_that_would_grow_is_stored_whole_beside_honest_reports(service: Service, name: str):
    path, body = AMPLIFIED[name]
    answers = await asyncio.gather(
        service.post(f"/callback/{path}", body),
        *(service.post(REPORT, f"smsMsgId=honest-{n}&status=DELIVRD") for n in range(10)),
    )
    assert {status for status, _ in answers} == {200}
    await spool_is_empty(service)
    assert await stored(service.sql) >= {f"honest-{n}" for n in range(10)}
    assert await service.rows("SELECT 1 FROM sms.rejected_payload") == []


async def test_the_views_show_what_spans_a_packet_in_each_report_and_message(service: Service):
    body = packet(100, CUSTOMER_BODY={"deep": nested(2_000)}, X="y")
    assert (await service.post(PACKET, body))[0] == 200
    sent = json.loads(body)
    rows = await service.rows("SELECT raw::text, context::text, recipient FROM sms.delivery_report ORDER BY recipient")
    for row, item in zip(rows, sent["SMS_RESULT_LIST"], strict=True):
        assert json.loads(row["raw"]) == sent | {"SMS_RESULT_LIST": [item]}
        assert json.loads(row["context"]) == {"CUSTOMER_BODY": sent["CUSTOMER_BODY"]}
    contexts = await service.rows("SELECT DISTINCT context::text FROM sms.message")
    assert [json.loads(row["context"]) for row in contexts] == [{"CUSTOMER_BODY": sent["CUSTOMER_BODY"]}]
    assert await service.rows("SELECT count(*) FROM sms_data.envelope") == [{"count": 1}]
