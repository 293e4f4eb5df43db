"""Daily partitions: there before they are needed, gone when their time is over, whoever else is at it."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial

import asyncpg
import pytest
from support.databases import connected
from support.reports import job, report
from support.writers import writing

from receiver.report import Envelope, ProviderName, Reply, content_id
from receiver.store.job import Job
from receiver.store.maintenance import partitions, periodic
from receiver.store.maintenance.partitions import Maintenance, MaintenanceResult, set_days_left_from
from receiver.store.maintenance.periodic import attempt
from receiver.telemetry.metrics import build

TODAY = date(2026, 3, 1)
PARENTS = ("report", "reply", "submission")
GAUGE = "receiver_partitions_left_days"


@pytest.fixture(autouse=True)
def _fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight must not come between a test's question and its answer."""
    monkeypatch.setattr(partitions, "today", lambda: TODAY)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def everything(day: date, name: str) -> Job:
    """A callback of that day with a row for every partitioned table."""
    one = Reply(provider=ProviderName("huawei"), reply_id=content_id(name), body="STOP", raw="{}")
    return job(report(message_id=name), received_at=noon(day), replies=[one], error="a second item is bad")


async def attached(connection: asyncpg.Connection) -> set[str]:
    return {row["name"] for row in await connection.fetch("SELECT name FROM sms_data.partition")}


async def tables(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'sms_data'::regnamespace AND relname ~ '_[0-9]{8}$'"
        " AND relkind = 'r'"
    )
    return {row["relname"] for row in rows}


def names(*days: date) -> set[str]:
    return {f"{parent}_{day:%Y%m%d}" for parent in PARENTS for day in days}


async def test_today_and_the_days_ahead_are_made_and_once_only(database, sql):
    done = await partitions.maintain(database, days_ahead=3, retention_days=None)
    assert done == MaintenanceResult(created=4 * len(PARENTS), dropped=[], deleted_messages=0, days_left=3)
    assert await attached(sql) == names(*(TODAY + timedelta(days=n) for n in range(4)))
    again = await partitions.maintain(database, days_ahead=3, retention_days=None)
    assert again == MaintenanceResult(created=0, dropped=[], deleted_messages=0, days_left=3)


async def test_instances_that_start_together_share_the_work(database):
    done = await asyncio.gather(*(partitions.maintain(database, days_ahead=2, retention_days=None) for _ in range(4)))
    assert sum(one.created for one in done) == 3 * len(PARENTS)
    assert {one.days_left for one in done} == {2}


async def test_a_gap_ends_the_days_ahead(database, sql):
    await partitions.maintain(database, days_ahead=4, retention_days=None)
    await sql.execute("DROP TABLE sms_data.reply_20260303")
    assert await partitions._days_left(sql) == 1
    await sql.execute("DROP TABLE sms_data.reply_20260301")
    assert await partitions._days_left(sql) == 0


async def test_a_partition_begins_and_ends_at_midnight_utc_whatever_the_servers_time_zone(sql):
    await sql.execute("SET timezone = 'Asia/Shanghai'")
    await sql.execute("SELECT sms_data.create_partitions('2026-03-01')")
    await sql.execute("SET timezone = 'UTC'")
    bounds = await sql.fetchval("""
        SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'sms_data.report_20260301'::regclass""")
    assert bounds == "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-03-02 00:00:00+00')"


async def test_a_day_without_partitions_is_made_by_whoever_writes_first(database, sql):
    """As when no maintenance ran for a week, and for what was spooled days ago."""
    old, now = TODAY - timedelta(days=9), TODAY
    async with writing(database) as writer:
        receipts = await asyncio.gather(writer.write(everything(old, "m-old")), writer.write(everything(now, "m-new")))
        assert [len(receipt.stored) for receipt in receipts] == [2, 2]
        assert await attached(sql) == names(old, now)
        await sql.execute("DROP TABLE sms_data.report_20260301")
        assert len((await writer.write(job(report(message_id="m-3"), received_at=noon(now)))).stored) == 1
    assert await attached(sql) == names(old, now)


async def test_what_is_older_than_the_retention_goes_and_nothing_else(database, sql):
    ages = (0, 29, 30, 31, 400)
    async with writing(database) as writer:
        for age in ages:
            await writer.write(everything(TODAY - timedelta(days=age), f"m-{age}"))
    done = await partitions.maintain(database, days_ahead=0, retention_days=30)
    old = {TODAY - timedelta(days=age) for age in (31, 400)}
    assert set(done.dropped) == names(*old)
    assert await tables(sql) == await attached(sql) == names(*(TODAY - timedelta(days=age) for age in (0, 29, 30)))
    for view in ("delivery_report", "message"):
        kept = await sql.fetch(f"SELECT message_id FROM sms.{view}")
        assert {row["message_id"] for row in kept} == {"m-0", "m-29", "m-30"}
    assert await sql.fetchval("SELECT count(*) FROM sms_data.reply_key") == 3
    assert done.deleted_messages == 4, "two messages and the keys of two replies"


async def test_a_message_lives_as_long_as_its_youngest_report(database, sql):
    """Else a repetition of a report that is still there would be stored a second time."""
    old, young = TODAY - timedelta(days=40), TODAY - timedelta(days=1)
    delivered = report("DELIVRD", message_id="m")
    async with writing(database) as writer:
        await writer.write(job(report("ACCEPTD", message_id="m"), received_at=noon(old)))
        await writer.write(job(delivered, received_at=noon(young)))
        await partitions.maintain(database, days_ahead=0, retention_days=30)
        assert not (await writer.write(job(delivered, received_at=noon(TODAY)))).stored
    assert [tuple(row) for row in await sql.fetch("SELECT message_id, status FROM sms.message")] == [("m", "delivered")]


async def test_an_envelope_lives_as_long_as_the_messages_that_name_it(database, sql):
    cutoff = TODAY - timedelta(days=30)
    old, kept = (report(message_id=name, envelope=Envelope('{"a":1}', None)) for name in ("old", "kept"))
    async with writing(database) as writer:
        await writer.write(job(old, kept, received_at=noon(cutoff - timedelta(days=1))))
        await writer.write(job(report("ACCEPTD", message_id="kept"), received_at=noon(TODAY)))
    assert await sql.fetchval("SELECT count(*) FROM sms_data.envelope") == 2
    await partitions.maintain(database, days_ahead=0, retention_days=30)
    assert [row[0] for row in await sql.fetch("SELECT message_id FROM sms_data.envelope")] == ["kept"]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Shanghai"])
async def test_the_retention_ends_at_midnight_utc_whatever_the_machines_time_zone(database, sql, monkeypatch, zone):
    """Partitions are of days in UTC, and the states of messages have to go with them: no earlier and no later."""
    cutoff = noon(TODAY - timedelta(days=30)).replace(hour=0)
    async with writing(database) as writer:
        await writer.write(job(report(message_id="before"), received_at=cutoff - timedelta(seconds=1)))
        await writer.write(job(report(message_id="after"), received_at=cutoff + timedelta(seconds=1)))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        await partitions.maintain(database, days_ahead=0, retention_days=30)
    finally:
        monkeypatch.undo()
        time.tzset()
    for view in ("delivery_report", "message"):
        assert [row[0] for row in await sql.fetch(f"SELECT message_id FROM sms.{view}")] == ["after"]


async def test_many_old_messages_go_in_small_transactions(database, sql, monkeypatch):
    monkeypatch.setattr(partitions, "_DELETE_BATCH", 10)
    old = noon(TODAY - timedelta(days=40))
    async with writing(database) as writer:
        await writer.write(job(*(report(message_id=f"m-{n}") for n in range(25)), received_at=old))
    assert (await partitions.maintain(database, days_ahead=0, retention_days=30)).deleted_messages == 25
    assert await sql.fetchval("SELECT count(*) FROM sms.message") == 0


async def test_instances_that_drop_together_do_not_get_into_each_others_way(database, sql):
    days = [TODAY - timedelta(days=age) for age in range(31, 37)]
    for day in days:
        await sql.execute("SELECT sms_data.create_partitions($1)", day)
    done = await asyncio.gather(*(partitions.maintain(database, days_ahead=0, retention_days=30) for _ in range(3)))
    dropped = [name for one in done for name in one.dropped]
    assert len(dropped) == len(set(dropped)), "each by one of them"
    # What one found in the hands of another is left to that one, or to the next round.
    last = await partitions.maintain(database, days_ahead=0, retention_days=30)
    assert {*dropped, *last.dropped} == names(*days)
    assert await tables(sql) == names(TODAY)


async def test_other_tables_in_the_schema_are_nobodys_partitions(database, sql):
    """A backup with a date in its name, and whatever PostgreSQL may try to read as one."""
    await sql.execute("CREATE TABLE sms_data.report_backup_20200101 (id int)")
    await sql.execute("CREATE TABLE sms_data.report_99999999 (id int)")
    await sql.execute("SELECT sms_data.create_partitions('2026-01-01')")
    for setting in ("enable_nestloop", "enable_indexscan", "enable_hashjoin"):
        await sql.execute(f"ALTER DATABASE {await sql.fetchval('SELECT current_database()')} SET {setting} = off")
        done = await partitions.maintain(database, days_ahead=1, retention_days=30)
        assert done.days_left == 1
    assert {"report_backup_20200101", "report_99999999"} <= await tables(sql)
    assert not names(date(2026, 1, 1)) & await tables(sql)


async def test_an_interrupted_detachment_is_finished_by_the_next_round(database, sql, monkeypatch):
    """A dashboard reads the partition for longer than the lock may be waited for."""
    monkeypatch.setattr(partitions, "_DROP_LOCK_TIMEOUT", "100ms")
    old = TODAY - timedelta(days=40)
    await sql.execute("SELECT sms_data.create_partitions($1)", old)
    async with connected(database) as dashboard:
        await dashboard.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await dashboard.fetch("SELECT count(*) FROM sms.delivery_report")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await partitions.maintain(database, days_ahead=2, retention_days=30)
        assert await tables(sql) == {"report_20260120", "submission_20260120"} | names(
            *(TODAY + timedelta(days=n) for n in range(3))
        )
        pending = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending"
        assert await sql.fetchval(pending) == "sms_data.report_20260120"
    # An older day comes late from a spool meanwhile: its turn is after the unfinished one's.
    await sql.execute("SELECT sms_data.create_partitions($1)", old - timedelta(days=1))
    done = await partitions.maintain(database, days_ahead=2, retention_days=30)
    assert set(done.dropped) == {"report_20260120", "submission_20260120"} | names(old - timedelta(days=1))
    assert await tables(sql) == names(*(TODAY + timedelta(days=n) for n in range(3)))


async def test_a_partition_that_was_detached_and_not_dropped_is_dropped(database, sql):
    old = TODAY - timedelta(days=40)
    await sql.execute("SELECT sms_data.create_partitions($1)", old)
    await sql.execute("ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_20260120")
    done = await partitions.maintain(database, days_ahead=0, retention_days=30)
    assert set(done.dropped) == names(old)


async def test_a_detached_day_that_is_written_to_again_is_attached_again(database, sql):
    """A spooled callback of a day that retention has begun to drop: it is kept, until the next round."""
    async with writing(database) as writer:
        await writer.write(everything(TODAY, "m-1"))
        await sql.execute("ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_20260301")
        await writer.write(everything(TODAY, "m-2"))
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 2


async def test_the_gauge_tells_the_days_left_even_where_dropping_fails(database, sql, monkeypatch):
    monkeypatch.setattr(partitions, "_DROP_LOCK_TIMEOUT", "100ms")
    await sql.execute("SELECT sms_data.create_partitions('2026-01-01')")
    metrics = build("test")
    maintenance = Maintenance(days_ahead=5, retention_days=30)
    set_days_left_from(metrics, lambda: maintenance.days_left)
    assert maintenance.days_left is None
    assert metrics.registry.get_sample_value(GAUGE) == 0
    async with connected(database) as dashboard:
        await dashboard.execute("BEGIN")
        await dashboard.execute("LOCK TABLE sms_data.report_20260101 IN ACCESS SHARE MODE")
        assert not await attempt(maintenance.periodic, partial(periodic.connected, database))
    assert metrics.registry.get_sample_value(GAUGE) == 5
    assert await attempt(maintenance.periodic, partial(periodic.connected, database))
    assert await tables(sql) == names(*(TODAY + timedelta(days=n) for n in range(6)))
    monkeypatch.setattr(partitions, "today", lambda: TODAY + timedelta(days=4))
    assert metrics.registry.get_sample_value(GAUGE) == 1


async def test_the_service_lives_on_while_maintenance_cannot_reach_the_database():
    maintenance = Maintenance(days_ahead=1, retention_days=1)
    assert not await attempt(maintenance.periodic, partial(periodic.connected, "postgresql://nobody@127.0.0.1:1/none"))
    assert maintenance.days_left is None
