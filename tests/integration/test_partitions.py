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
from receiver.store.maintenance import partitions, periodic, retention
from receiver.store.maintenance.partitions import Maintenance, MaintenanceResult, set_days_left_from
from receiver.store.maintenance.periodic import attempt
from receiver.telemetry.metrics import build

TODAY = date(2026, 3, 1)
PARENTS = ("report", "reply", "submission")
GAUGE = "receiver_partitions_left_days"
AHEAD = [TODAY + timedelta(days=n) for n in range(5)]


@pytest.fixture(autouse=True)
def _fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight must not come between a test's question and its answer."""
    monkeypatch.setattr(partitions, "today", lambda: TODAY)


def before(days: int) -> date:
    return TODAY - timedelta(days=days)


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


async def message_ids(connection: asyncpg.Connection, relation: str) -> set[str]:
    return {row["message_id"] for row in await connection.fetch(f"SELECT message_id FROM {relation}")}


def names(*days: date) -> set[str]:
    return {f"{parent}_{day:%Y%m%d}" for parent in PARENTS for day in days}


async def test_today_and_the_days_ahead_are_made_once_and_a_gap_ends_them(database, sql):
    done = await partitions.maintain(database, days_ahead=4, retention_days=None)
    assert done == MaintenanceResult(created=5 * len(PARENTS), dropped=[], deleted_messages=0, days_left=4, left=[])
    assert await attached(sql) == names(*AHEAD)
    again = await partitions.maintain(database, days_ahead=4, retention_days=None)
    assert again == MaintenanceResult(created=0, dropped=[], deleted_messages=0, days_left=4, left=[])
    await sql.execute("DROP TABLE sms_data.reply_20260303")
    assert await partitions.whole_days_left(sql) == 1
    await sql.execute("DROP TABLE sms_data.reply_20260301")
    assert await partitions.whole_days_left(sql) == 0


async def test_a_partition_begins_and_ends_at_midnight_utc_whatever_the_servers_time_zone(sql):
    await sql.execute("SET timezone = 'Asia/Shanghai'")
    await sql.execute("SELECT sms_data.create_partitions('2026-03-01')")
    await sql.execute("SET timezone = 'UTC'")
    bounds = await sql.fetchval("""
        SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'sms_data.report_20260301'::regclass""")
    assert bounds == "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-03-02 00:00:00+00')"


async def test_a_day_without_partitions_is_made_by_whoever_writes_first(database, sql):
    """As when no maintenance ran for a week, for what was spooled days ago, and where retention has begun to drop."""
    old, now = before(9), TODAY
    async with writing(database) as writer:
        receipts = await asyncio.gather(writer.write(everything(old, "m-old")), writer.write(everything(now, "m-new")))
        assert [len(receipt.stored) for receipt in receipts] == [2, 2]
        assert await attached(sql) == names(old, now)
        await sql.execute("DROP TABLE sms_data.report_20260301")
        assert (await writer.write(job(report(message_id="m-3"), received_at=noon(now)))).stored
        await sql.execute("ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_20260301")
        assert (await writer.write(job(report(message_id="m-4"), received_at=noon(now)))).stored
    assert await attached(sql) == names(old, now)
    assert await message_ids(sql, "sms.delivery_report") == {"m-old", "m-3", "m-4"}, "nothing detached is lost"


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Shanghai"])
async def test_what_is_older_than_the_retention_goes_and_nothing_else(database, sql, monkeypatch, zone):
    """Partitions are of days in UTC, whatever the machine's time zone, and the states of messages go with them.

    A message lives as long as its youngest report: else a repetition of that would be stored a second time.
    """
    monkeypatch.setattr(retention, "_DELETE_BATCH", 10)
    cutoff, second = noon(before(30)).replace(hour=0), timedelta(seconds=1)
    again = report("DELIVRD", message_id="twice", envelope=Envelope('{"a":1}', None))
    late = report(message_id="late", envelope=Envelope('{"a":1}', None))
    async with writing(database) as writer:
        for age in (0, 29, 30, 31, 400):
            await writer.write(everything(before(age), f"m-{age}"))
        await writer.write(job(report(message_id="before"), late, received_at=cutoff - second))
        await writer.write(job(report(message_id="after"), received_at=cutoff + second))
        await writer.write(job(report("ACCEPTD", message_id="twice"), received_at=noon(before(31))))
        await writer.write(job(again, received_at=noon(before(1))))
        await writer.write(job(*(report(message_id=f"many-{n}") for n in range(25)), received_at=noon(before(40))))
        assert await message_ids(sql, "sms_data.envelope") == {"late", "twice"}
        await sql.execute("ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_20250125")
        try:
            with monkeypatch.context() as patched:
                patched.setenv("TZ", zone)
                time.tzset()
                done = await partitions.maintain(database, days_ahead=0, retention_days=30)
        finally:
            time.tzset()
        assert not (await writer.write(job(again, received_at=noon(TODAY)))).stored
    assert set(done.dropped) == names(before(31), before(40), before(400)), "with what was detached already"
    assert await tables(sql) == await attached(sql) == names(TODAY, before(1), before(29), before(30))
    for view in ("sms.delivery_report", "sms.message"):
        assert await message_ids(sql, view) == {"m-0", "m-29", "m-30", "after", "twice"}
    assert await message_ids(sql, "sms_data.envelope") == {"twice"}
    assert await sql.fetchval("SELECT count(*) FROM sms_data.reply_key") == 3
    assert done.deleted_messages == 4 + 25 + 3, "the keys of two replies and an envelope among them"


async def test_instances_that_work_together_do_not_get_into_each_others_way(database, sql):
    days = [before(age) for age in range(31, 37)]
    for day in days:
        await sql.execute("SELECT sms_data.create_partitions($1)", day)
    done = await asyncio.gather(*(partitions.maintain(database, days_ahead=2, retention_days=30) for _ in range(4)))
    assert sum(one.created for one in done) == 3 * len(PARENTS)
    assert {one.days_left for one in done} == {2}
    dropped = [name for one in done for name in one.dropped]
    assert len(dropped) == len(set(dropped)), "each by one of them"
    # What one found in the hands of another is left to that one, or to the next round.
    last = await partitions.maintain(database, days_ahead=2, retention_days=30)
    assert {*dropped, *last.dropped} == names(*days)
    assert await tables(sql) == names(*AHEAD[:3])


async def test_other_tables_in_the_schema_are_nobodys_partitions(database, sql):
    """A backup with a date in its name, and whatever PostgreSQL may try to read as one."""
    await sql.execute("CREATE TABLE sms_data.report_backup_20200101 (id int)")
    await sql.execute("CREATE TABLE sms_data.report_99999999 (id int)")
    await sql.execute("SELECT sms_data.create_partitions('2026-01-01')")
    for setting in ("enable_nestloop", "enable_indexscan", "enable_hashjoin"):
        await sql.execute(f"ALTER DATABASE {await sql.fetchval('SELECT current_database()')} SET {setting} = off")
        done = await partitions.maintain(database, days_ahead=1, retention_days=30)
        assert done.days_left == 1
    assert await tables(sql) == {"report_backup_20200101", "report_99999999"} | names(*AHEAD[:2])


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(retention, "_ATTEMPT_EVERY_S", 0.05)


@pytest.mark.usefixtures("_hurried")
async def test_a_long_query_holds_up_its_own_table_alone_and_no_writer(database, sql):
    """A dashboard that reads all reports for longer than anybody waits."""
    old = [before(40), before(41)]
    names_old = {f"report_{day:%Y%m%d}" for day in old}
    async with writing(database, timeout_s=1.0) as writer, connected(database) as dashboard:
        for day in old:
            await writer.write(everything(day, f"m-{day}"))
        await dashboard.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert await dashboard.fetchval("SELECT count(*) FROM sms.delivery_report") == 2
        done = await partitions.maintain(database, days_ahead=2, retention_days=30)
        assert set(done.left) == names_old
        assert set(done.dropped) == names(*old) - names_old
        assert (done.deleted_messages, done.days_left) == (4, 2)
        # A spooled callback of another old day comes while the detachment waits: it is written, and has its turn.
        trying = asyncio.create_task(partitions.maintain(database, days_ahead=2, retention_days=30, patience_s=60))
        for number, day in enumerate((TODAY, before(42), TODAY)):
            assert len((await writer.write(everything(day, f"late-{number}"))).stored) == 2
        # One of the very day that goes is refused, and what is written with it is stored.
        late, live = everything(min(old), "m-late"), everything(TODAY, "m-live")
        gone, stored = await asyncio.gather(writer.write(late), writer.write(live))
        assert (len(gone.refused), len(stored.stored), writer.available) == (2, 2, True)
        assert not trying.done()
        assert await dashboard.fetchval("SELECT count(*) FROM sms.delivery_report") == 2, "in its own transaction"
        await dashboard.execute("COMMIT")
        done = await trying
    assert done.left == []
    assert names_old <= set(done.dropped)
    await partitions.maintain(database, days_ahead=2, retention_days=30)
    assert await tables(sql) == names(*AHEAD[:3])


async def test_a_message_that_a_writer_has_locked_holds_up_no_other(database):
    async with writing(database) as writer, connected(database) as other:
        await writer.write(job(*(report(message_id=f"m-{n}") for n in range(3)), received_at=noon(before(40))))
        await other.execute("BEGIN; SELECT FROM sms_data.message WHERE message_id = 'm-1' FOR UPDATE")
        assert (await partitions.maintain(database, days_ahead=0, retention_days=30)).deleted_messages == 2
        await other.execute("COMMIT")
        assert (await partitions.maintain(database, days_ahead=0, retention_days=30)).deleted_messages == 1


@pytest.mark.usefixtures("_hurried")
async def test_the_gauges_tell_the_days_left_and_what_could_not_be_dropped(database, sql, monkeypatch):
    await sql.execute("SELECT sms_data.create_partitions('2026-01-01')")
    metrics = build("test")
    maintenance = Maintenance(days_ahead=4, retention_days=30)
    set_days_left_from(metrics, lambda: maintenance.days_left)
    assert maintenance.days_left is None
    assert metrics.registry.get_sample_value(GAUGE) == 0
    async with connected(database) as dashboard:
        await dashboard.execute("BEGIN")
        await dashboard.execute("LOCK TABLE sms_data.report_20260101 IN ACCESS SHARE MODE")
        assert not await attempt(maintenance.periodic, partial(periodic.connected, database))
    assert (metrics.registry.get_sample_value(GAUGE), maintenance.overdue) == (4, 1)
    assert await attempt(maintenance.periodic, partial(periodic.connected, database))
    assert (await tables(sql), maintenance.overdue) == (names(*AHEAD), 0)
    monkeypatch.setattr(partitions, "today", lambda: TODAY + timedelta(days=3))
    assert metrics.registry.get_sample_value(GAUGE) == 1


async def test_the_service_lives_on_while_maintenance_cannot_reach_the_database():
    maintenance = Maintenance(days_ahead=1, retention_days=1)
    assert not await attempt(maintenance.periodic, partial(periodic.connected, "postgresql://nobody@127.0.0.1:1/none"))
    assert maintenance.days_left is None
