"""The store: what comes together is committed together, and the same report is stored once, whichever way it comes."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import orjson
import pytest
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.draining import drained, draining
from support.reports import NOON, callback, job, report
from support.service import Service
from support.writers import writing

from receiver.report import ProviderName, Reply, content_id
from receiver.store.durable import DurableStore, StoreUnavailable
from receiver.store.job import KeptIn
from receiver.store.spool import Spool
from receiver.store.sql import MAX_REPORTS_A_MESSAGE
from receiver.store.writer import QueueFull, Writer
from receiver.telemetry.metrics import build

SINGLE, BATCH, UPLINK = "/callback/huawei/report", "/callback/huawei/reports", "/callback/huawei/uplink"
JSON = {"Content-Type": "application/json"}
GOOD = {"returnCode": 0, "returnCodeDesc": "Success"}


@pytest.fixture
async def patient(make_settings) -> AsyncIterator[Service]:
    """A service that a slow machine does not make use the spool."""
    async with services.running(make_settings(database_timeout_s=20.0, answer_deadline_s=30.0)) as running:
        yield running


def batch(*items: dict[str, str]) -> bytes:
    return orjson.dumps({"statusReportList": items})


async def count(connection: asyncpg.Connection, view: str = "delivery_report") -> int:
    return await connection.fetchval(f"SELECT count(*) FROM sms.{view}")


async def test_what_comes_together_is_committed_together(database):
    metrics = build("test")
    async with writing(database, metrics, max_flush=100) as writer:
        await asyncio.gather(*(writer.write(job(report(message_id=f"m-{n}"))) for n in range(300)))
    value = metrics.registry.get_sample_value
    assert value("receiver_flush_reports_sum") == 300
    assert value("receiver_flush_reports_count") <= 5, "three full groups, and what the first write found"
    assert value("receiver_flush_reports_bucket", {"le": "100.0"}) == value("receiver_flush_reports_count")


async def test_a_lone_callback_waits_for_nobody(database):
    metrics = build("test")
    async with writing(database, metrics) as writer:
        for n in range(3):
            assert (await writer.write(job(report(message_id=f"m-{n}")))).stored
    assert metrics.registry.get_sample_value("receiver_flush_reports_count") == 3


async def test_a_job_larger_than_a_group_is_a_group(database, sql):
    async with writing(database, max_flush=10, max_queue=10) as writer:
        receipt = await writer.write(job(*(report(message_id=f"m-{n}") for n in range(50))))
    assert len(receipt.stored) == await count(sql) == 50


async def test_large_bodies_are_not_all_in_one_group(database):
    metrics = build("test")
    body = bytes(800 << 10)
    jobs = [replace(job(report(message_id=f"m-{n}")), callback=callback(body=body)) for n in range(6)]
    async with writing(database, metrics) as writer:
        await asyncio.gather(*map(writer.write, jobs))
    assert metrics.registry.get_sample_value("receiver_flush_reports_sum") == 6
    assert metrics.registry.get_sample_value("receiver_flush_reports_count") == 3, "two in each have 2 MiB"


async def test_the_commit_is_durable_whatever_the_databases_own_setting(database, sql):
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await sql.execute("""
        CREATE TABLE seen AS SELECT ''::text AS setting WITH NO DATA;
        GRANT INSERT ON seen TO PUBLIC;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER note AFTER INSERT ON sms_data.message INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note()""")
    async with writing(database) as writer:
        await writer.write(job(report()))
    assert set(await sql.fetch("SELECT DISTINCT setting FROM seen")) == {("on",)}, "at the commit, behind the function"


async def test_a_report_twice_in_one_body_is_stored_once(patient: Service):
    item = {"smsMsgId": "m-1", "status": "DELIVRD"}
    assert await patient.post(BATCH, batch(item, item), **JSON) == (200, GOOD)
    assert await count(patient.sql) == 1


async def test_a_report_in_many_requests_at_once_is_stored_once(patient: Service):
    answers = await asyncio.gather(*(patient.post(SINGLE, b"smsMsgId=m-1&status=DELIVRD") for _ in range(40)))
    assert answers == [(200, GOOD)] * 40
    assert await count(patient.sql) == await count(patient.sql, "message") == 1


async def test_of_jobs_with_the_same_report_one_is_told_that_it_is_new(database):
    async with writing(database) as writer:
        receipts = await asyncio.gather(*(writer.write(job(report())) for _ in range(10)))
    assert sorted(len(receipt.stored) for receipt in receipts) == [0] * 9 + [1]
    assert not any(receipt.refused for receipt in receipts)


async def test_a_report_that_is_sent_again_on_another_day_is_a_duplicate(database, sql):
    """The report table is partitioned by the day of arrival, so its own keys could not tell."""
    async with writing(database) as writer:
        for day in (0, 1, -3):
            await writer.write(job(report(happened_at=NOON), received_at=NOON + timedelta(days=day)))
    assert [row["received_at"] for row in await sql.fetch("SELECT received_at FROM sms.delivery_report")] == [NOON]


async def test_a_repetition_leaves_the_message_as_it_was(database, sql):
    """Not even its row is written again: a platform that repeats itself costs no write."""
    row = "SELECT last_received_at, xmin::text FROM sms_data.message"
    async with writing(database) as writer:
        await writer.write(job(report(), received_at=NOON))
        before = await sql.fetch(row)
        await writer.write(job(report(), received_at=NOON + timedelta(hours=1)))
        assert await sql.fetch(row) == before
        await writer.write(job(report("ACCEPTD"), received_at=NOON + timedelta(hours=2)))
    assert (await sql.fetch(row))[0]["last_received_at"] == NOON + timedelta(hours=2)


async def test_a_reply_that_is_sent_again_on_another_day_is_a_duplicate(database, sql):
    one = Reply(provider=ProviderName("tencent"), reply_id=content_id("STOP"), body="STOP", raw="{}")
    async with writing(database) as writer:
        for day in (0, 1):
            await writer.write(job(replies=[one], received_at=NOON + timedelta(days=day)))
    assert await count(sql, "reply") == 1


async def test_after_a_restart_a_resent_report_is_a_duplicate(make_settings):
    sample = case("huawei/single-vendor-sample")
    for _ in range(2):
        async with services.running(make_settings(database_timeout_s=20.0, answer_deadline_s=30.0)) as running:
            assert await running.post(sample.path, sample.body, **sample.headers) == (200, GOOD)
            assert await count(running.sql) == 1


async def test_the_same_report_by_the_form_and_by_the_batch_is_one(patient: Service):
    fields = {"smsMsgId": "m-1", "status": "DELIVRD", "updateTime": "2026-03-01T12:00:00Z", "source": "2"}
    form = "&".join(f"{name}={value}" for name, value in fields.items())
    assert await patient.post(SINGLE, form) == (200, GOOD)
    assert await patient.post(BATCH, batch(fields), **JSON) == (200, GOOD)
    assert await count(patient.sql) == 1


async def test_recipients_under_one_uid_are_messages_of_their_own(patient: Service):
    sample = case("cloudsms/several-recipients-one-uid")
    for _ in range(2):
        status, _ = await patient.post(sample.path, sample.body, **sample.headers)
        assert status == 200
    rows = await patient.rows("SELECT recipient, status FROM sms.message ORDER BY recipient")
    assert [(row["recipient"], row["status"]) for row in rows] == [
        ("+6581234567", "expired"),
        ("+85261234567", "delivered"),
        ("+8613800138000", "rejected"),
    ]
    assert await count(patient.sql) == 3


async def test_too_many_reports_about_one_message_are_kept_as_rejected(patient: Service):
    """Nobody honest sends so many; what is refused is kept, and what was stored stays a duplicate."""
    items = [{"smsMsgId": "m-1", "status": f"S{n}"} for n in range(MAX_REPORTS_A_MESSAGE + 25)]
    stored, refused = items[:MAX_REPORTS_A_MESSAGE], items[MAX_REPORTS_A_MESSAGE:]
    assert await patient.post(BATCH, batch(*stored), **JSON) == (200, GOOD)
    assert await patient.post(BATCH, batch(*stored[:25]), **JSON) == (200, GOOD)
    assert await count(patient.sql, "rejected_payload") == 0

    status, answer = await patient.post(BATCH, batch(*refused), **JSON)
    assert status == 400
    assert f"more than {MAX_REPORTS_A_MESSAGE} different reports" in answer["returnCodeDesc"]
    assert await patient.post(BATCH, batch(stored[0], refused[0]), **JSON) == (200, GOOD)
    kept = await patient.rows("SELECT body, error FROM sms.rejected_payload ORDER BY received_at")
    assert [row["body"] for row in kept] == [batch(*refused), batch(stored[0], refused[0])]
    assert all("different reports about one message" in row["error"] for row in kept)
    assert await count(patient.sql) == MAX_REPORTS_A_MESSAGE


async def test_two_writers_with_the_same_messages_in_any_order_neither_deadlock_nor_store_twice(database, sql):
    chance = random.Random(7)
    pool = [report(code, message_id=f"m-{n}") for n in range(300) for code in ("ENROUTE", "ACCEPTD", "DELIVRD")]
    with captured_log() as log:
        async with writing(database, max_flush=300) as one, writing(database, max_flush=300) as other:
            receipts = await asyncio.gather(
                *(writer.write(job(*chance.sample(pool, 300))) for _ in range(12) for writer in (one, other))
            )
    assert log.events("database.retry", "database.unavailable", "writer.failed") == []
    assert await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    told = [report_id for receipt in receipts for report_id in receipt.stored]
    kept = [row["report_id"].hex for row in await sql.fetch("SELECT report_id FROM sms.delivery_report")]
    assert sorted(told) == sorted(kept), "each new report is new to one caller"
    assert len(set(kept)) == len(kept) == len({one.report_id for one in pool})
    states = await sql.fetch("SELECT DISTINCT status FROM sms.message")
    assert [row["status"] for row in states] == ["delivered"]


async def test_what_a_full_message_refuses_is_refused_as_often_as_it_stands_in_a_body(patient):
    """The same report twice in one body was answered as good, with nothing stored."""
    items = [{"smsMsgId": "m-1", "status": f"S{n}"} for n in range(MAX_REPORTS_A_MESSAGE)]
    assert (await patient.post(BATCH, batch(*items), **JSON))[0] == 200
    one_more = {"smsMsgId": "m-1", "status": "ONE-MORE"}
    assert (await patient.post(BATCH, batch(one_more), **JSON))[0] == 400
    assert (await patient.post(BATCH, batch(one_more, one_more), **JSON))[0] == 400
    assert (await patient.post(BATCH, batch(one_more, items[0]), **JSON))[0] == 200, "a duplicate is good"


async def test_a_queue_that_is_full_refuses_and_one_that_is_empty_takes_any_size(database):
    metrics = build("test")
    writer = Writer(database, metrics, timeout_s=20.0, max_queue=10, max_flush=100)
    first = asyncio.create_task(writer.write(job(*(report(message_id=f"m-{n}") for n in range(20)))))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await writer.write(job(report(message_id="late")))
    assert metrics.registry.get_sample_value("receiver_queue_reports") == 20
    running = asyncio.create_task(writer.run())
    assert len((await first).stored) == 20
    assert (await writer.write(job(report(message_id="late")))).stored
    running.cancel()
    await asyncio.wait([running])


async def test_what_finds_the_queue_full_goes_to_the_spool_and_else_is_refused(database, tmp_path):
    metrics = build("test")
    writer = Writer(database, metrics, timeout_s=20.0, max_queue=1, max_flush=100)
    blocking = asyncio.create_task(writer.write(job(report(message_id="first"))))
    await asyncio.sleep(0)
    spool = Spool(tmp_path / "spool", 1 << 20)
    keeper = DurableStore(writer, spool, metrics, deadline_s=20.0)
    assert (await keeper.keep(job(report(message_id="second")))).kept_in is KeptIn.SPOOL
    await spool.close()
    with pytest.raises(StoreUnavailable):
        await keeper.keep(job(report(message_id="third")))
    blocking.cancel()


async def test_a_spool_with_more_than_the_queue_holds_drains_all_the_same(database, sql, tmp_path):
    """Two hundred callbacks are read from the spool at once, with any number of reports each."""
    metrics = build("test")
    spool = Spool(tmp_path / "spool", 1 << 24)
    for n in range(20):
        items = [{"smsMsgId": f"m-{n}-{i}", "status": "DELIVRD"} for i in range(20)]
        await spool.put(job(body=batch(*items)).callback)
    async with (
        writing(database, metrics, max_queue=50, max_flush=100) as writer,
        draining(database, writer, spool, metrics),
    ):
        await drained(spool)
    await spool.close()
    assert await count(sql) == 400
