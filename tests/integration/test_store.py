"""The store: the same report is stored once, whichever way and however often it comes. Queue and groups: unit tests."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import orjson
import pytest
from support import citus
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.databases import connected, emptied
from support.draining import drained, draining
from support.reports import NOON, job, report, submission
from support.service import Service
from support.shared import shared_service
from support.waiting import eventually
from support.writers import writing

from receiver.report import ProviderName, Reply, content_id
from receiver.store.spool import Spool
from receiver.store.sql import MAX_REPORTS_A_MESSAGE
from receiver.telemetry.metrics import build

SINGLE, BATCH = "/callback/huawei/report", "/callback/huawei/reports"
JSON = {"Content-Type": "application/json"}
GOOD = {"returnCode": 0, "returnCodeDesc": "Success"}


@pytest.fixture(scope="module")
async def service(cluster, template) -> AsyncIterator[Service]:
    """For all stories here: each tells of messages of its own."""
    async with shared_service(cluster, template) as running:
        yield running


@pytest.fixture
async def sql(shared_database) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


def batch(*items: dict[str, str]) -> bytes:
    return orjson.dumps({"statusReportList": items})


async def stored(service: Service, message_id: str) -> int:
    """How many reports about this message there are."""
    return len(await service.rows("SELECT 1 FROM sms.delivery_report WHERE message_id = $1", message_id))


@pytest.mark.skipif(citus.ALL, reason="it sees the commit by a trigger, and Citus has none")
async def test_the_commit_is_durable_whatever_the_databases_own_setting(database):
    connection = await asyncpg.connect(database)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.execute("""
        CREATE TABLE seen AS SELECT ''::text AS setting WITH NO DATA;
        GRANT INSERT ON seen TO PUBLIC;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER note AFTER INSERT ON sms_data.message INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note()""")
    async with writing(database) as writer:
        await writer.write(job(report()))
    seen = await connection.fetch("SELECT DISTINCT setting FROM seen")
    await connection.close()
    assert seen == [("on",)], "at the commit, behind the function"


async def test_a_flush_is_read_committed_whatever_the_databases_own_setting(database):
    """Else writers of the same messages fail in place of waiting for each other, and the breaker opens."""
    level = "current_setting('transaction_isolation')"
    async with connected(database) as admin:
        name = await admin.fetchval("SELECT current_database()")
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        await admin.execute(f"ALTER TABLE sms_data.report ADD CHECK ({level} = 'read committed')")
    async with writing(database) as writer:
        alone = await writer.write(job(report()))
        beside = await writer.write(job(report("ACCEPTD"), submission()))
    assert [len(alone.stored), len(beside.stored)] == [1, 2]


async def test_a_report_is_stored_once_in_one_body_in_many_requests_and_by_either_form(service):
    item = {"smsMsgId": "in-one-body", "status": "DELIVRD"}
    assert await service.post(BATCH, batch(item, item), **JSON) == (200, GOOD)
    answers = await asyncio.gather(*(service.post(SINGLE, b"smsMsgId=at-once&status=DELIVRD") for _ in range(40)))
    assert answers == [(200, GOOD)] * 40
    fields = {"smsMsgId": "either", "status": "DELIVRD", "updateTime": "2026-03-01T12:00:00Z", "source": "2"}
    assert await service.post(SINGLE, "&".join(f"{name}={value}" for name, value in fields.items())) == (200, GOOD)
    assert await service.post(BATCH, batch(fields), **JSON) == (200, GOOD)
    assert [await stored(service, name) for name in ("in-one-body", "at-once", "either")] == [1, 1, 1]
    assert len(await service.rows("SELECT 1 FROM sms.message WHERE message_id = 'at-once'")) == 1


async def test_after_a_restart_a_resent_report_is_a_duplicate(make_settings):
    sample = case("huawei/single-vendor-sample")
    for _ in range(2):
        async with services.running(make_settings(database_timeout_s=20.0, answer_deadline_s=30.0)) as running:
            assert await running.post(sample.path, sample.body, **sample.headers) == (200, GOOD)
            assert len(await running.rows("SELECT 1 FROM sms.delivery_report")) == 1


async def test_what_is_sent_again_on_another_day_is_a_duplicate(shared_database, sql):
    """Tables are partitioned by the day of arrival, so their own keys could not tell."""
    reply = Reply(provider=ProviderName("tencent"), reply_id=content_id("STOP"), body="STOP", raw="{}")
    async with writing(shared_database) as writer:
        for day in (0, 1, -3):
            again = job(report(happened_at=NOON), replies=[reply], received_at=NOON + timedelta(days=day))
            await writer.write(again)
    for view in ("delivery_report", "reply"):
        assert [row["received_at"] for row in await sql.fetch(f"SELECT received_at FROM sms.{view}")] == [NOON]


@pytest.mark.skipif(citus.ALL, reason="there a writer locks every message that it finds, and retention waits")
async def test_a_duplicate_whose_message_goes_meanwhile_is_still_a_duplicate(shared_database, sql):
    """Retention deletes it while the flush waits for another message: its report must not be stored without it."""
    both = [report(message_id="m-going"), report(message_id="m-locked")]
    async with writing(shared_database) as writer, connected(shared_database) as other:
        await writer.write(job(*both))
        await other.execute("BEGIN; SELECT FROM sms_data.message WHERE message_id = 'm-locked' FOR UPDATE")
        again = asyncio.create_task(writer.write(job(both[0], report("UNDELIV", message_id="m-locked"))))
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        await eventually(lambda: sql.fetchval(waiting))
        await sql.execute("DELETE FROM sms_data.message WHERE message_id = 'm-going'")
        await other.execute("COMMIT")
        assert len((await again).stored) == 1
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report WHERE message_id = 'm-going'") == 1


async def test_a_repetition_leaves_the_message_as_it_was(shared_database, sql):
    """Not even its row is written again: a platform that repeats itself costs no write."""
    row = "SELECT last_received_at, xmin::text FROM sms_data.message"
    async with writing(shared_database) as writer:
        await writer.write(job(report(), received_at=NOON))
        before = await sql.fetch(row)
        await writer.write(job(report(), received_at=NOON + timedelta(hours=1)))
        assert await sql.fetch(row) == before
        await writer.write(job(report("ACCEPTD"), received_at=NOON + timedelta(hours=2)))
    assert (await sql.fetch(row))[0]["last_received_at"] == NOON + timedelta(hours=2)


async def test_recipients_under_one_uid_are_messages_of_their_own(service):
    sample = case("cloudsms/several-recipients-one-uid")
    for _ in range(2):
        assert (await service.post(sample.path, sample.body, **sample.headers))[0] == 200
    states = await service.rows("SELECT recipient, status FROM sms.message WHERE provider = 'cloudsms' ORDER BY 1")
    assert [tuple(row.values()) for row in states] == [
        ("+6581234567", "expired"),
        ("+85261234567", "delivered"),
        ("+8613800138000", "rejected"),
    ]
    assert len(await service.rows("SELECT 1 FROM sms.delivery_report WHERE provider = 'cloudsms'")) == 3


async def test_too_many_reports_about_one_message_are_kept_as_rejected(service):
    """Nobody honest sends so many; what is refused is kept, and what was stored stays a duplicate."""
    items = [{"smsMsgId": "full", "status": f"S{n}"} for n in range(MAX_REPORTS_A_MESSAGE + 25)]
    known, refused = items[:MAX_REPORTS_A_MESSAGE], items[MAX_REPORTS_A_MESSAGE:]
    rejected = "SELECT body, error FROM sms.rejected_payload ORDER BY received_at"
    assert await service.post(BATCH, batch(*known), **JSON) == (200, GOOD)
    assert await service.post(BATCH, batch(*known[:25]), **JSON) == (200, GOOD)
    assert await service.rows(rejected) == []

    # The same report twice in one body was answered as good once, with nothing stored.
    for body in (batch(*refused), batch(refused[0], refused[0])):
        status, answer = await service.post(BATCH, body, **JSON)
        assert status == 400
        assert f"more than {MAX_REPORTS_A_MESSAGE} different reports" in answer["returnCodeDesc"]
    assert await service.post(BATCH, batch(known[0], refused[0]), **JSON) == (200, GOOD), "a duplicate is good"
    kept = await service.rows(rejected)
    assert [row["body"] for row in kept] == [
        batch(*refused),
        batch(refused[0], refused[0]),
        batch(known[0], refused[0]),
    ]
    assert all("different reports about one message" in row["error"] for row in kept)
    assert await stored(service, "full") == MAX_REPORTS_A_MESSAGE


async def test_two_writers_with_the_same_messages_in_any_order_neither_deadlock_nor_store_twice(shared_database, sql):
    chance = random.Random(7)
    pool = [report(code, message_id=f"m-{n}") for n in range(300) for code in ("ENROUTE", "ACCEPTD", "DELIVRD")]
    with captured_log() as log:
        async with writing(shared_database, max_flush=300) as one, writing(shared_database, max_flush=300) as other:
            receipts = await asyncio.gather(
                *(writer.write(job(*chance.sample(pool, 300))) for _ in range(12) for writer in (one, other))
            )
    assert log.events("database.retry", "database.unavailable", "writer.failed") == []
    assert await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    told = [report_id for receipt in receipts for report_id in receipt.stored]
    kept = [row["report_id"].hex for row in await sql.fetch("SELECT report_id FROM sms.delivery_report")]
    assert sorted(told) == sorted(kept), "each new report is new to one caller"
    assert len(set(kept)) == len(kept) == len({one.report_id for one in pool})
    assert not any(receipt.refused for receipt in receipts)
    assert [row["status"] for row in await sql.fetch("SELECT DISTINCT status FROM sms.message")] == ["delivered"]


async def test_a_spool_with_more_than_the_queue_holds_drains_all_the_same(shared_database, sql, tmp_path):
    """Two hundred callbacks are read from the spool at once, with any number of reports each."""
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 24)
    for n in range(20):
        items = [{"smsMsgId": f"m-{n}-{i}", "status": "DELIVRD"} for i in range(20)]
        await spool.put(job(body=batch(*items)).callback)
    async with (
        writing(shared_database, metrics, max_queue=50, max_flush=100) as writer,
        draining(shared_database, writer, spool, metrics),
    ):
        await drained(spool)
    await spool.close()
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 400
