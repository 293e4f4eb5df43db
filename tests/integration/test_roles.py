"""The roles: dashboards see the views and nothing else, the service owns nothing, and sms_owner everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import partial
from itertools import product

import asyncpg
import pytest
from support import citus
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.databases import administrate_each, connected
from support.reports import NOON, job, report
from support.waiting import eventually

from receiver.store import catalogue_table, postgres
from receiver.store.maintenance import partitions, periodic
from receiver.store.maintenance.partitions import Maintenance

VIEWS = ("delivery_report", "message", "reply", "rejected_payload", "code")
TABLES = ("report", "message", "reply", "reply_key", "submission", "rejected_payload", "rejected_ring", "code")
TABLES += ("catalogue", "partitioned_table")
PARTITIONED = ("report", "reply", "submission")


@pytest.fixture(scope="module", autouse=True)
async def _logins(cluster: str, template: str) -> AsyncIterator[None]:
    """`dashboard` has only sms_reader, `ingest` only sms_writer."""
    assert template
    await administrate_each(
        cluster, "CREATE ROLE dashboard LOGIN IN ROLE sms_reader", "CREATE ROLE ingest LOGIN IN ROLE sms_writer"
    )
    yield
    await administrate_each(cluster, "DROP ROLE dashboard", "DROP ROLE ingest")


@pytest.fixture(scope="module")
async def stored(shared_database: str) -> str:
    """URL of a database for all tests that only try: a report of noon's day, and one of forty days before."""
    async with connected(shared_database) as connection:
        await store_two(connection)
    return shared_database


async def store_two(connection: asyncpg.Connection) -> None:
    for day in (NOON, NOON - timedelta(days=40)):
        await connection.execute("SELECT sms_data.create_partitions($1)", day.date())
        row = job(report(message_id=f"m-{day.date()}"), received_at=day)
        await postgres.write(postgres.Session(connection), [row], 10.0)


def login(role: str, url: str) -> str:
    return url.replace("//postgres@", f"//{role}@")


@pytest.fixture
async def owner(stored: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(stored) as connection:
        yield connection


@pytest.fixture
async def dashboard(stored: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(login("dashboard", stored)) as connection:
        yield connection


@pytest.fixture
async def ingest(stored: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(login("ingest", stored)) as connection:
        yield connection


REFUSALS: tuple[type[Exception], ...] = (asyncpg.InsufficientPrivilegeError,)
if citus.ALL:  # which finds other faults first: its views join, and it locks no rows of several shards
    REFUSALS += (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.FeatureNotSupportedError)


async def refuses(connection, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(REFUSALS):
            await connection.execute(statement)


@pytest.mark.skipif(citus.ALL, reason="sms_reader reads the tables there: shards know no views")
async def test_a_dashboard_reads_every_view_and_nothing_below(dashboard):
    counts = {view: await dashboard.fetchval(f"SELECT count(*) FROM sms.{view}") for view in VIEWS}
    assert counts == {"delivery_report": 2, "message": 2, "reply": 0, "rejected_payload": 0, "code": counts["code"]}
    assert counts["code"] > 1_900
    below = (*TABLES, "report_20260301", "partition", "alembic_version")
    await refuses(dashboard, *(f"SELECT * FROM sms_data.{name}" for name in below))
    await refuses(dashboard, "SELECT sms_data.create_partitions('2030-01-01')")


async def test_a_dashboard_writes_nowhere(dashboard):
    await refuses(
        dashboard,
        *(f"DELETE FROM sms.{view}" for view in VIEWS),
        *(f"UPDATE sms.{view} SET provider = 'nobody'" for view in VIEWS),
        "INSERT INTO sms.code (provider, code) VALUES ('nobody', '0')",
        "DROP VIEW sms.message",
        "CREATE TABLE sms.mine (id int)",
        "CREATE TABLE sms_data.mine (id int)",
        "TRUNCATE sms_data.report",
    )


async def test_the_service_runs_as_the_writer(database, make_settings):
    """Reports, duplicates, large packets, replies and rejected payloads, from no partition at all to days ahead."""
    good, bad, reply = map(case, ("huawei/single-vendor-sample", "huawei/batch-body-truncated", "huawei/uplink-emoji"))
    fat = json.loads(case("cloudsms/several-recipients-one-uid").body) | {"CUSTOMER_BODY": {"long": "x" * 10_000}}
    several = len(fat["SMS_RESULT_LIST"])
    patient = make_settings(database_url=login("ingest", database), database_timeout_s=20.0, answer_deadline_s=30.0)
    async with services.running(patient) as service:
        for body in (good, good, bad, reply):
            assert (await service.post(body.path, body.body, **body.headers))[0] == body.expected["http_status"]
        assert (await service.post("/callback/cloudsms/report", json.dumps(fat)))[0] == 200
        assert await service.rows("SELECT 1 FROM sms_data.envelope"), "what spans its results is stored once"
        counts = {view: len(await service.rows(f"SELECT 1 FROM sms.{view}")) for view in VIEWS[:4]}
        assert counts == {"delivery_report": 1 + several, "message": 1 + several, "reply": 1, "rejected_payload": 1}
        ahead = (patient.partition_days_ahead - 1) * len(PARTITIONED)
        ahead_of_today = "SELECT 1 FROM sms_data.partition WHERE day > (now() AT TIME ZONE 'UTC')::date"

        async def days_ahead_are_there() -> bool:
            return len(await service.rows(ahead_of_today)) >= ahead

        await eventually(days_ahead_are_there)


async def test_the_writer_brings_the_code_table_up_to_date(ingest, owner):
    """A new version of the service may come with a new catalogue and no migration."""
    await owner.execute("UPDATE sms_data.catalogue SET fingerprint = 'of an older version'")
    await owner.execute("UPDATE sms_data.code SET meaning = 'outdated'")
    assert await catalogue_table.sync(ingest)
    assert not await catalogue_table.sync(ingest)
    assert await owner.fetchval("SELECT count(*) FROM sms.code WHERE meaning = 'outdated'") == 0


async def test_the_writer_destroys_nothing(ingest):
    await refuses(
        ingest,
        *(f"DROP TABLE sms_data.{table}" for table in TABLES),
        *(f"TRUNCATE sms_data.{table}" for table in TABLES),
        *(f"DELETE FROM sms_data.{table}" for table in ("report", "reply", "message", "submission")),
        "UPDATE sms_data.rejected_payload SET body = 'other'",
        "TRUNCATE sms_data.rejected_payload_slot_0",
        "UPDATE sms_data.rejected_ring SET slot = 1",
        "UPDATE sms_data.report SET code = 'other'",
        "UPDATE sms_data.message SET status = 'delivered'",
        "INSERT INTO sms_data.message SELECT * FROM sms_data.message",
        "INSERT INTO sms_data.report SELECT * FROM sms_data.report",
        "SELECT 1 FROM sms_data.message FOR KEY SHARE",
        "UPDATE sms_data.report_20260301 SET code = 'other'",
        "ALTER TABLE sms_data.report DETACH PARTITION sms_data.report_20260301",
        "DROP TABLE sms_data.report_20260301",
        "DROP VIEW sms.message",
        "CREATE TABLE sms_data.mine (id int)",
        "UPDATE sms_data.alembic_version SET version_num = '9999'",
    )


async def test_retention_is_for_the_owner_and_the_writer_warns_and_goes_on(database, sql):
    """To drop partitions takes their owner. The days ahead are made and known all the same."""
    await store_two(sql)
    maintenance = Maintenance(days_ahead=3, retention_days=30)
    with captured_log() as log:
        assert await periodic.attempt(maintenance.periodic, partial(periodic.connected, login("ingest", database)))
        await asyncio.sleep(0)  # lines are written at the end of the loop's turn
    (warning,) = log.events("partitions.not_permitted")
    assert warning["level"] == "warning"
    assert "receiver maintain" in warning["advice"]
    assert maintenance.days_left == 3
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 2
    done = await partitions.maintain(database, days_ahead=1, retention_days=30)
    assert "report_20260120" in done.dropped
    assert "m-2026-01-20" not in {row[0] for row in await sql.fetch("SELECT message_id FROM sms.message")}


EVERYBODYS = """
SELECT relname FROM pg_class, aclexplode(relacl)
 WHERE relnamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace) AND grantee = 0
UNION ALL
SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
 WHERE pronamespace = 'sms_data'::regnamespace AND grantee = 0
UNION ALL
SELECT nspname FROM pg_namespace, aclexplode(nspacl) WHERE nspname IN ('sms', 'sms_data') AND grantee = 0
"""
OWNERS = """
SELECT DISTINCT relowner::regrole::text FROM pg_class
 WHERE relnamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace)
UNION
SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'sms_data'::regnamespace
"""


async def test_everything_is_the_owners_and_nothing_everybodys(owner):
    """Partitions that were made on the way included."""
    assert [row[0] for row in await owner.fetch(OWNERS)] == ["sms_owner"]
    assert await owner.fetch(EVERYBODYS) == []


COUNTING = {"count_messages", "count_changes", "count_submissions", "fold_counts"}
DEFINERS = {"create_partitions", "make_room_for_rejected", "probe", "store_reports"} | COUNTING
if citus.ALL:  # where one user alone may change a shard in one transaction
    DEFINERS |= {"store_envelopes", "store_submissions"}


async def test_what_runs_with_the_owners_rights_cannot_be_led_astray(owner):
    """By an object of the caller's that is found before the one that is meant."""
    functions = await owner.fetch("SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND proowner <> 10")
    assert {row["proname"] for row in functions} == DEFINERS
    assert all("search_path=pg_catalog, pg_temp" in row["proconfig"] for row in functions)


async def test_a_function_that_the_owner_makes_is_nobody_elses(owner, ingest):
    await owner.execute("SET ROLE sms_owner")
    await owner.execute("CREATE FUNCTION sms_data.later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    await refuses(ingest, "SELECT sms_data.later()")


ADVISORY = ("sms_data.create_partitions", "sms_data.rejected_ring", "sms_data.code")
"""What any login may lock: nothing may wait for it."""
LOCKED_BY_FUNCTIONS = ("partitioned_table", "rejected_ring", "message_count")
WRITTEN_BY_FUNCTIONS = ("message", "report")
IN_THE_WAY = [f"{mode} EXCLUSIVE" for mode in ("ROW", "SHARE UPDATE", "SHARE ROW", "ACCESS")] + ["SHARE", "EXCLUSIVE"]
"""The modes that conflict with SHARE ROW EXCLUSIVE."""
ROOM = "SELECT sms_data.make_room_for_rejected(1 << 30)"


def lock(tables: Iterable[str]) -> list[str]:
    return [f"DO 'BEGIN LOCK TABLE {one} IN {mode} MODE; END'" for one, mode in product(tables, IN_THE_WAY)]


async def test_a_dashboard_that_holds_advisory_locks_stops_nothing(dashboard, ingest, owner):
    await owner.execute("UPDATE sms_data.catalogue SET fingerprint = 'of an older version'")
    async with asyncio.timeout(30):
        for name in ADVISORY:
            await dashboard.execute("SELECT pg_advisory_lock(hashtext($1))", name)
        for call in ("SELECT sms_data.create_partitions('2026-03-02')", ROOM):
            await ingest.execute(call)
        assert await catalogue_table.sync(ingest)
    assert await owner.fetchval("SELECT count(*) FROM sms_data.partition WHERE name = 'report_20260302'") == 1


async def test_nobody_else_can_hold_the_locks_that_are_waited_for(dashboard, ingest):
    functions = [f"sms_data.{table}" for table in (*LOCKED_BY_FUNCTIONS, *WRITTEN_BY_FUNCTIONS)]
    await refuses(ingest, *lock([*functions, "sms_data.probe"]))
    await refuses(dashboard, *lock([*functions, "sms_data.code", "sms.code", "sms.rejected_payload"]))


async def test_a_probe_waits_for_nobody_who_has_the_services_rights(ingest, stored: str):
    """The breaker closes when a probe is committed: a lock that one could hold would keep it open everywhere."""
    async with connected(login("ingest", stored)) as stolen, stolen.transaction():
        await stolen.execute("SELECT sms_data.probe()")
        await ingest.execute("SET lock_timeout = '1s'")
        await ingest.execute("SELECT sms_data.probe()")


async def test_the_writer_writes_where_nobody_is_shown_who_is_connected(database, sql) -> None:
    """As some who harden their databases have it."""
    await sql.execute("REVOKE SELECT ON pg_stat_activity FROM PUBLIC")
    session = await postgres.connect(login("ingest", database), 10.0, 10.0)
    await postgres.confirm(session, 10.0)
    session.connection.terminate()


async def test_a_lock_of_the_owners_is_not_waited_for_without_end(stored, ingest, owner):
    async with connected(login("ingest", stored)) as other, asyncio.timeout(30), owner.transaction():
        for table in LOCKED_BY_FUNCTIONS:
            await owner.execute(f"LOCK TABLE sms_data.{table} IN SHARE ROW EXCLUSIVE MODE")
        calls = ingest.execute("SELECT sms_data.create_partitions('2026-03-03')"), other.execute(ROOM)
        assert {type(ended) for ended in await asyncio.gather(*calls, return_exceptions=True)} == {
            asyncpg.LockNotAvailableError
        }


async def test_the_writer_makes_no_partitions_of_days_that_cannot_be(ingest):
    """Refused as wrong data: the service sets such a callback apart, where another error would stop it."""
    for day in ("'2019-12-31'", "current_date + 402", "'9999-12-31'", "'infinity'", "'-infinity'", "NULL"):
        with pytest.raises(asyncpg.DatetimeFieldOverflowError, match="no partitions are made for"):
            await ingest.execute(f"SELECT sms_data.create_partitions({day})")
    for day in ("'2020-01-01'", "current_date + 399"):
        assert await ingest.fetchval(f"SELECT sms_data.create_partitions({day})") == len(PARTITIONED)
