"""Anybody can send what is not understood: it is kept within bounds, and what is understood never suffers from it."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import asyncpg
from support import service as services
from support.capture import captured_log
from support.databases import connected
from support.reports import job, report
from support.service import Service
from support.waiting import eventually
from support.writers import writing

from receiver.store.durable import DurableStore
from receiver.store.maintenance import rejected_quota
from receiver.store.maintenance.rejected_quota import RejectedQuota, keep_within
from receiver.store.spool import Spool
from receiver.telemetry.metrics import build

MOST = 4 * 1024 * 1024
SMALL = {"rejected_max_bytes": MOST, "max_body_bytes": MOST // 20}
JUNK_BYTES = 30_000
SIZE = "SELECT sms_data.rejected_bytes()"


def junk(number: int) -> bytes:
    """It does not compress, and tells its number."""
    return b"junk %6d " % number + os.urandom(JUNK_BYTES)


async def flood(service: Service, numbers: range) -> set[int]:
    """The HTTP statuses that many bodies of junk get, eight at a time."""
    statuses = set()
    for at in range(numbers.start, numbers.stop, 8):
        some = (service.post("/callback/huawei/report", junk(n)) for n in range(at, min(at + 8, numbers.stop)))
        statuses |= {status for status, _ in await asyncio.gather(*some)}
    return statuses


async def numbers_kept(sql: asyncpg.Connection) -> list[int]:
    rows = await sql.fetch("SELECT substr(body, 6, 6) AS number FROM sms.rejected_payload ORDER BY received_at")
    return [int(row["number"]) for row in rows]


def dropped(metrics_text: str, reason: str = "size") -> float:
    name = f'receiver_rejected_payloads_dropped_total{{reason="{reason}"}} '
    return next(float(line.removeprefix(name)) for line in metrics_text.splitlines() if line.startswith(name))


async def scrape(service: Service) -> str:
    async with service.client.get(service.ops_url + "/metrics") as response:
        return await response.text()


async def test_a_flood_pushes_out_the_oldest_and_no_report(make_settings, monkeypatch):
    monkeypatch.setattr(rejected_quota, "_MIN_PAUSE_S", 0.02)
    sent = reports = 0
    with captured_log() as log:
        async with services.running(make_settings(**SMALL, database_timeout_s=20.0, answer_deadline_s=30.0)) as service:

            async def the_first_is_gone() -> bool:
                nonlocal sent, reports
                assert await flood(service, range(sent, sent + 8)) == {400}
                status, _ = await service.post("/callback/huawei/report", f"smsMsgId=m-{reports}&status=DELIVRD")
                assert status == 200
                sent, reports = sent + 8, reports + 1
                assert await service.sql.fetchval(SIZE) <= MOST
                return 0 not in await numbers_kept(service.sql)

            await eventually(the_first_is_gone)
            await eventually(lambda: bool(log.events("rejected.dropped")))
            assert await service.sql.fetchval("SELECT count(*) FROM sms.delivery_report") == reports

            async def all_are_kept_or_counted() -> bool:  # a round counts after it has dropped
                return len(await numbers_kept(service.sql)) + dropped(await scrape(service)) == sent

            await eventually(all_are_kept_or_counted)


async def test_what_is_not_kept_is_told_of_in_few_lines_and_all_of_it_is_counted(make_settings, monkeypatch):
    """One line for each that is kept: a flood beyond the bound leaves nothing to look at, and must not fill the log."""
    monkeypatch.setattr(rejected_quota, "_MIN_PAUSE_S", 60.0)
    with captured_log() as log:
        async with services.running(make_settings(**SMALL, database_timeout_s=20.0, answer_deadline_s=30.0)) as service:
            assert await flood(service, range(200)) == {400}
            metrics = await scrape(service)
            kept = await service.sql.fetchval("SELECT count(*) FROM sms.rejected_payload")
    assert 'receiver_rejected_payloads_total{kind="payload",provider="huawei"} 200.0' in metrics
    assert dropped(metrics) > 100
    assert kept <= len(log.events("payload.rejected")) < 150


async def test_four_instances_flooded_at_the_same_time_keep_to_one_bound(database, sql, tmp_path):
    """None of them looks at the sizes: what each may keep until then is small enough for all of them."""
    quotas = [RejectedQuota(build("test"), MOST) for _ in range(4)]
    room, _ = await rejected_quota.make_room(sql, MOST)
    for quota in quotas:
        quota.renew(room)
    spool = Spool(tmp_path / "spool", 1 << 20)
    async with writing(database) as writer:
        for quota in quotas:
            keeper = DurableStore(writer, spool, build("test"), deadline_s=30.0, rejected=quota)
            for n in range(40):
                await keeper.keep(job(body=junk(n), error="junk", received_at=datetime.now(UTC)))
    await spool.close()
    assert await sql.fetchval(SIZE) <= MOST
    assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") >= 4


async def test_while_a_backup_reads_the_ring_the_bound_holds_and_what_comes_is_not_kept(database, sql):
    await sql.execute("ALTER FUNCTION sms_data.make_room_for_rejected SET lock_timeout = '10ms'")
    metrics = build("test")
    quota = RejectedQuota(metrics, MOST)
    written = 0
    async with connected(database) as backup, writing(database) as writer:
        await backup.execute("BEGIN; LOCK TABLE sms_data.rejected_payload IN ACCESS SHARE MODE")
        for n in range(180):
            with quota.admitted(job(body=junk(n), error="junk")) as admitted:
                await writer.write(admitted)
                written += admitted.size
            await keep_within(sql, quota, days=10_000)
        assert MOST // 2 < await sql.fetchval(SIZE) <= MOST
        assert written < 150
        assert len(await numbers_kept(sql)) == written
        assert dropped(metrics.render().decode()) == 180 - written

    async def there_is_room_again() -> bool:
        await keep_within(sql, quota, days=10_000)
        return await sql.fetchval(SIZE) <= MOST // 4 * 3

    await eventually(there_is_room_again)


async def test_a_lowered_bound_is_kept_to_at_once(database, sql):
    async with writing(database) as writer:
        for n in range(250):
            await writer.write(job(body=junk(n), error="junk"))
            await rejected_quota.make_room(sql, 2 * MOST)
    assert await sql.fetchval(SIZE) > MOST
    room, gone = await rejected_quota.make_room(sql, MOST)
    assert room >= MOST // 4
    assert gone
    assert await sql.fetchval(SIZE) <= MOST
    assert await sql.fetchval("SELECT max(encode(substr(body, 6, 6), 'escape')) FROM sms.rejected_payload") == "   249"


async def test_instances_that_find_the_table_full_move_the_ring_once(database, sql):
    async with writing(database) as writer:
        for n in range(16):
            await writer.write(job(body=junk(n), error="junk"))

    async def look() -> None:
        async with connected(database) as connection:
            await rejected_quota.make_room(connection, MOST)

    await asyncio.gather(*(look() for _ in range(4)))
    assert await sql.fetchval("SELECT slot FROM sms_data.rejected_ring") == 1
    assert len(await numbers_kept(sql)) == 16


async def test_what_is_too_old_goes(database, sql, monkeypatch):
    monkeypatch.setattr(rejected_quota, "_DELETE_BATCH", 2)
    now = datetime.now(UTC)
    async with writing(database) as writer:
        for days in (0, 29, 31, 32, 33, 400):
            await writer.write(job(body=b"junk %6d" % days, error="junk", received_at=now - timedelta(days=days)))
    metrics = build("test")
    quota = RejectedQuota(metrics, MOST)
    with captured_log() as log:
        for _ in range(2):
            await keep_within(sql, quota, days=30)
    assert sorted(await numbers_kept(sql)) == [0, 29]
    assert dropped(metrics.render().decode(), "age") == 4
    assert [line["age_count"] for line in log.events("rejected.dropped")] == [4]


async def test_an_outage_leaves_the_spool_to_what_is_understood(tmp_path):
    """Junk may fill a quarter of the spool; reports are kept as long as there is any room."""
    metrics = build("test")
    spool = Spool(tmp_path / "spool", MOST)
    async with writing("postgresql://nobody@127.0.0.1:1/none", metrics) as writer:
        keeper = DurableStore(writer, spool, metrics, deadline_s=30.0)
        places = [(await keeper.keep(job(body=junk(n), error="junk"))).kept_in for n in range(60)]
        assert set(places[:10]) == {"spool"}
        assert set(places[50:]) == {"nowhere"}
        assert spool.depth.file_bytes < MOST // 2
        padding = os.urandom(JUNK_BYTES)
        for n in range(50):
            kept = await keeper.keep(job(report(message_id=f"m-{n}"), body=padding, error="an item is bad"))
            assert kept.kept_in == "spool"
    await spool.close()
    assert dropped(metrics.render().decode()) == places.count("nowhere")


async def test_the_service_looks_by_itself_when_the_quota_runs_low(make_settings, monkeypatch):
    monkeypatch.setattr(rejected_quota, "_MIN_PAUSE_S", 0.05)
    async with services.running(make_settings(**SMALL)) as service:

        async def moved() -> bool:
            await flood(service, range(4))
            return await service.sql.fetchval("SELECT slot FROM sms_data.rejected_ring") > 0

        await eventually(moved)
