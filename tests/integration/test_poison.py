"""Poison: what the database refuses because of what it is. It is kept as rejected and holds nobody else up."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest
from support import citus
from support.capture import captured_log
from support.databases import emptied
from support.draining import drained, draining
from support.reports import job, report
from support.service import Service
from support.shared import shared_service
from support.waiting import eventually
from support.writers import writing

from receiver.store.durable import DurableStore
from receiver.store.job import KeptIn
from receiver.store.spool import Spool
from receiver.telemetry.metrics import build

SINGLE, BATCH, UPLINK = "/callback/huawei/report", "/callback/huawei/reports", "/callback/huawei/uplink"
JSON = {"Content-Type": "application/json"}
POISON = "ALTER TABLE sms_data.{} ADD CONSTRAINT no_poison CHECK ({} IS DISTINCT FROM 'POISON')"


@pytest.fixture(scope="module")
async def refusing(cluster: str, template: str) -> AsyncIterator[Service]:
    """A service whose database refuses reports with the code POISON and replies with that text."""
    async with shared_service(cluster, template) as running:
        for table, column in (("report", "code"), ("reply", "body")):
            await running.sql.execute(POISON.format(table, column))
        yield running


@pytest.fixture
async def poisoned(refusing: Service) -> Service:
    async with emptied(refusing.settings.database_url.get_secret_value()):
        return refusing


async def stored(connection: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await connection.fetch("SELECT message_id FROM sms.delivery_report")}


async def rejected(service: Service) -> list[dict[str, object]]:
    return await service.rows("SELECT body, error, path, provider FROM sms.rejected_payload ORDER BY received_at")


async def test_poison_alone_is_answered_400_and_kept_with_a_readable_reason(poisoned: Service):
    body = b"smsMsgId=m-1&status=POISON&extend=a%26b"
    status, answer = await poisoned.post(SINGLE, body)
    assert status == 400
    assert answer["returnCode"] == 400
    (kept,) = await rejected(poisoned)
    assert (kept["body"], kept["path"], kept["provider"]) == (body, SINGLE, "huawei")
    assert kept["error"].startswith("the database refuses it: ")
    assert "no_poison" in kept["error"]
    assert "POISON" not in kept["error"], "the reason quotes no value"
    assert await poisoned.rows("SELECT 1 FROM sms.message") == [], "no state of a message without a report"


async def test_the_neighbours_of_poison_in_one_commit_are_stored(poisoned: Service):
    """Callbacks that happened to arrive at the same time have nothing to do with each other."""
    codes = {f"m-{n}": "POISON" if n in (7, 8, 31) else "DELIVRD" for n in range(40)}
    answers = await asyncio.gather(
        *(poisoned.post(SINGLE, f"smsMsgId={message}&status={code}") for message, code in codes.items())
    )
    statuses = {message: status for message, (status, _) in zip(codes, answers, strict=True)}
    assert statuses == {message: 400 if code == "POISON" else 200 for message, code in codes.items()}
    assert await stored(poisoned.sql) == {message for message, code in codes.items() if code != "POISON"}
    assert len(await rejected(poisoned)) == 3


async def test_a_batch_of_fifty_with_one_poisoned_item_stores_forty_nine(poisoned: Service):
    items = [{"smsMsgId": f"m-{n}", "status": "POISON" if n == 20 else "DELIVRD"} for n in range(50)]
    body = orjson.dumps({"statusReportList": items})
    assert await poisoned.post(BATCH, body, **JSON) == (200, {"returnCode": 0, "returnCodeDesc": "Success"})
    assert await stored(poisoned.sql) == {f"m-{n}" for n in range(50) if n != 20}
    (kept,) = await rejected(poisoned)
    assert kept["body"] == body


async def test_of_two_reports_about_one_message_the_good_one_makes_the_state(poisoned: Service):
    items = [{"smsMsgId": "m-1", "status": code} for code in ("POISON", "DELIVRD")]
    await poisoned.post(BATCH, orjson.dumps({"statusReportList": items}), **JSON)
    assert await poisoned.rows("SELECT status, code FROM sms.message") == [{"status": "delivered", "code": "DELIVRD"}]


async def test_a_poisoned_reply_is_kept_as_rejected_too(poisoned: Service):
    bodies = {text: f"smsMsgId={text}&from=%2B8615500005678&to=1069&body={text}" for text in ("STOP", "POISON")}
    answers = await asyncio.gather(*(poisoned.post(UPLINK, body) for body in bodies.values()))
    assert [status for status, _ in answers] == [200, 400]
    assert await poisoned.rows("SELECT body FROM sms.reply") == [{"body": "STOP"}]
    assert [kept["body"] for kept in await rejected(poisoned)] == [bodies["POISON"].encode()]


async def test_after_poison_the_same_report_can_be_stored(database, sql):
    """The mark against duplicates must not outlive the insert that failed."""
    await sql.execute(POISON.format("report", "code"))
    async with writing(database) as writer:
        assert (await writer.write(job(report("POISON")))).refused
        await sql.execute("ALTER TABLE sms_data.report DROP CONSTRAINT no_poison")
        assert (await writer.write(job(report("POISON")))).stored
    assert await stored(sql) == {"m-1"}


UNSTORABLE = {
    "U+0000": {"detail": "bad\x00"},
    "half a surrogate pair": {"detail": "bad\ud800"},
    "a code that no index of the counts takes": {"code": "".join(f"{n:05}" for n in range(2_000))},
}


@pytest.mark.parametrize("what", UNSTORABLE)
async def test_a_text_that_postgresql_has_no_room_for_is_isolated(database, sql, what: str):
    """The adapters mend such texts; should one come through, it must not take its neighbours with it."""
    bad, good = report(**UNSTORABLE[what], message_id="bad"), report(message_id="good")
    async with writing(database) as writer:
        receipts = await asyncio.gather(writer.write(job(bad)), writer.write(job(good)), writer.write(job(bad, good)))
        assert writer.available
    assert [len(receipt.refused) for receipt in receipts] == [1, 0, 1]
    assert await stored(sql) == {"good"}


SLOW_POISON = """
CREATE FUNCTION is_good(code text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF code = 'POISON' THEN
        PERFORM pg_sleep(0.05);
    END IF;
    RETURN code <> 'POISON';
END $$;
ALTER TABLE sms_data.report ADD CONSTRAINT no_poison CHECK (is_good(code));
"""


@pytest.mark.skipif(citus.ALL, reason="a transaction over several nodes takes longer than this one may")
async def test_much_poison_does_not_count_as_a_database_that_is_away(database, sql):
    """To find twelve poisoned rows takes longer than one transaction may, and each transaction is quick."""
    await sql.execute(SLOW_POISON)
    reports = [report("POISON" if n % 2 else "DELIVRD", message_id=f"m-{n}") for n in range(24)]
    async with writing(database, timeout_s=1.0) as writer:
        receipt = await writer.write(job(*reports))
        assert writer.available
    assert (len(receipt.stored), len(receipt.refused)) == (12, 12)
    assert await stored(sql) == {f"m-{n}" for n in range(0, 24, 2)}


@pytest.mark.skipif(citus.ALL, reason="a transaction over several nodes takes longer than this one may")
async def test_poison_in_the_spool_does_not_block_what_comes_after_it(database, sql, tmp_path):
    await sql.execute(SLOW_POISON)
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 20)
    for n in range(24):
        body = f"smsMsgId=m-{n}&status={'POISON' if n % 2 else 'DELIVRD'}".encode()
        await spool.put(job(body=body).callback)
    async with writing(database, metrics, timeout_s=1.0) as writer, draining(database, writer, spool, metrics):
        await drained(spool)
    await spool.close()
    assert await stored(sql) == {f"m-{n}" for n in range(0, 24, 2)}
    assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 12


async def test_a_body_that_cannot_even_be_kept_as_rejected_is_told_of_and_blocks_nothing(database, sql, tmp_path):
    await sql.execute(POISON.format("rejected_payload", "error"))
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 20)
    async with writing(database, metrics) as writer:
        keeper = DurableStore(writer, spool, metrics, deadline_s=20.0)
        with captured_log() as log:
            kept = await asyncio.gather(keeper.keep(job(error="POISON")), keeper.keep(job(report())))
    await spool.close()
    assert [one.kept_in for one in kept] == [KeptIn.DATABASE] * 2
    assert await stored(sql) == {"m-1"}
    (lost,) = log.events("payload.lost")
    assert lost["level"] == "error"
    assert lost["request_id"]


async def test_a_server_that_lets_nobody_in_empties_no_spool(database, sql, tmp_path):
    """It refuses a value of the URL, with the class of errors of what a row says."""
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 20)
    for n in range(3):
        await spool.put(job(body=f"smsMsgId=m-{n}&status=DELIVRD".encode()).callback)
    url = f"{database}&TimeZone=Nowhere/Town"
    with captured_log() as log:
        async with writing(url, metrics) as writer, draining(url, writer, spool, metrics):
            await eventually(lambda: bool(log.events("database.unavailable")))
    assert spool.depth.callbacks == 3
    async with writing(database, metrics) as writer, draining(database, writer, spool, metrics):
        await drained(spool)
    await spool.close()
    assert await stored(sql) == {"m-0", "m-1", "m-2"}
