"""The roles: dashboards see the views and nothing else, the service owns nothing, and sms_owner everything."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import product

import asyncpg
import pytest
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.databases import administrate, connected
from support.reports import NOON, job, report
from support.service import Service
from support.waiting import eventually

from receiver.store import catalogue_table, postgres
from receiver.store.maintenance import partitions, periodic
from receiver.store.maintenance.partitions import Maintenance

VIEWS = ("delivery_report", "message", "reply", "rejected_payload", "code")
TABLES = (
    "report",
    "message",
    "reply",
    "reply_key",
    "submission",
    "rejected_payload",
    "rejected_ring",
    "code",
    "catalogue",
    "partitioned_table",
)
PARTITIONED = ("report", "reply", "submission")

As = Callable[[str], str]


@pytest.fixture(scope="module")
async def logins(cluster: str, template: str) -> AsyncIterator[None]:
    """`dashboard` has only sms_reader, `ingest` only sms_writer."""
    assert template
    await administrate(
        cluster, "CREATE ROLE dashboard LOGIN IN ROLE sms_reader", "CREATE ROLE ingest LOGIN IN ROLE sms_writer"
    )
    yield
    await administrate(cluster, "DROP ROLE dashboard", "DROP ROLE ingest")


@pytest.fixture
def login(database: str, logins: None) -> As:
    assert logins is None
    return lambda role: database.replace("//postgres@", f"//{role}@")


@pytest.fixture
async def stored(sql: asyncpg.Connection) -> None:
    """A report of noon's day, and one of forty days before."""
    for day in (NOON, NOON - timedelta(days=40)):
        await sql.execute("SELECT sms_data.create_partitions($1)", day.date())
        await postgres.write(postgres.Session(sql), [job(report(message_id=f"m-{day.date()}"), received_at=day)], 10.0)


@pytest.fixture
async def written_by_ingest(login: As, make_settings) -> AsyncIterator[Service]:
    patient = make_settings(database_url=login("ingest"), database_timeout_s=20.0, answer_deadline_s=30.0)
    async with services.running(patient) as running:
        yield running


@pytest.mark.usefixtures("stored")
async def test_a_dashboard_reads_every_view(login: As):
    async with connected(login("dashboard")) as connection:
        counts = {view: await connection.fetchval(f"SELECT count(*) FROM sms.{view}") for view in VIEWS}
    assert counts == {"delivery_report": 2, "message": 2, "reply": 0, "rejected_payload": 0, "code": counts["code"]}
    assert counts["code"] > 1_900


@pytest.mark.usefixtures("stored")
async def test_a_dashboard_reads_nothing_below_the_views(login: As):
    async with connected(login("dashboard")) as connection:
        for name in (*TABLES, "report_20260301", "partition", "alembic_version"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM sms_data.{name}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT sms_data.create_partitions('2030-01-01')")


async def refuses(url: str, statements: list[str]) -> None:
    async with connected(url) as connection:
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_a_dashboard_writes_nowhere(login: As):
    statements = [
        *(f"DELETE FROM sms.{view}" for view in VIEWS),
        *(f"UPDATE sms.{view} SET provider = 'nobody'" for view in VIEWS),
        "INSERT INTO sms.code (provider, code) VALUES ('nobody', '0')",
        "DROP VIEW sms.message",
        "CREATE TABLE sms.mine (id int)",
        "CREATE TABLE sms_data.mine (id int)",
        "TRUNCATE sms_data.report",
    ]
    await refuses(login("dashboard"), statements)


async def test_the_service_runs_as_the_writer(written_by_ingest: Service):
    """Reports, duplicates, large packets, replies and rejected payloads, from no partition at all to days ahead."""
    good, bad, reply = case("huawei/single-vendor-sample"), case("huawei/batch-body-truncated"), "huawei/uplink-emoji"
    for body in (good, good, bad, case(reply)):
        status, _ = await written_by_ingest.post(body.path, body.body, **body.headers)
        assert status == body.expected["http_status"]
    fat = json.loads(case("cloudsms/several-recipients-one-uid").body) | {"CUSTOMER_BODY": {"long": "x" * 10_000}}
    assert (await written_by_ingest.post("/callback/cloudsms/report", json.dumps(fat)))[0] == 200
    assert await written_by_ingest.rows("SELECT 1 FROM sms_data.envelope"), "what spans its results is stored once"
    several = len(fat["SMS_RESULT_LIST"])
    counts = {view: len(await written_by_ingest.rows(f"SELECT 1 FROM sms.{view}")) for view in VIEWS[:4]}
    assert counts == {"delivery_report": 1 + several, "message": 1 + several, "reply": 1, "rejected_payload": 1}
    ahead = written_by_ingest.settings.partition_days_ahead
    ahead_of_today = "SELECT count(*) FROM sms_data.partition WHERE day > (now() AT TIME ZONE 'UTC')::date"

    async def days_ahead_are_there() -> bool:
        return await written_by_ingest.sql.fetchval(ahead_of_today) >= (ahead - 1) * len(PARTITIONED)

    await eventually(days_ahead_are_there)


async def test_the_writer_brings_the_code_table_up_to_date(login: As, sql: asyncpg.Connection):
    """A new version of the service may come with a new catalogue and no migration."""
    await sql.execute("UPDATE sms_data.catalogue SET fingerprint = 'of an older version'")
    await sql.execute("UPDATE sms_data.code SET meaning = 'outdated'")
    async with connected(login("ingest")) as connection:
        assert await catalogue_table.sync(connection)
        assert not await catalogue_table.sync(connection)
    assert await sql.fetchval("SELECT count(*) FROM sms.code WHERE meaning = 'outdated'") == 0


@pytest.mark.usefixtures("stored")
async def test_the_writer_destroys_nothing(login: As):
    statements = [
        *(f"DROP TABLE sms_data.{table}" for table in TABLES),
        *(f"TRUNCATE sms_data.{table}" for table in TABLES),
        *(
            f"{verb} sms_data.{table}"
            for verb, table in product(["DELETE FROM"], ["report", "reply", "message", "submission"])
        ),
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
    ]
    await refuses(login("ingest"), statements)


@pytest.mark.usefixtures("stored")
async def test_retention_as_the_writer_warns_and_leaves_everything_else_working(login: As, sql: asyncpg.Connection):
    """To drop partitions takes their owner. The days ahead are made and known all the same."""
    maintenance = Maintenance(days_ahead=3, retention_days=30)
    with captured_log() as log:
        assert await periodic.attempt(maintenance.periodic, partial(periodic.connected, login("ingest")))
        await asyncio.sleep(0)  # lines are written at the end of the loop's turn
    (warning,) = log.events("partitions.not_permitted")
    assert warning["level"] == "warning"
    assert "receiver maintain" in warning["advice"]
    assert maintenance.days_left == 3
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 2


@pytest.mark.usefixtures("stored")
async def test_retention_as_the_owner_does_it(database: str, sql: asyncpg.Connection):
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


@pytest.mark.usefixtures("stored")
async def test_everything_is_the_owners_and_nothing_everybodys(sql: asyncpg.Connection):
    """Partitions that were made on the way included."""
    assert [row[0] for row in await sql.fetch(OWNERS)] == ["sms_owner"]
    assert await sql.fetch(EVERYBODYS) == []


DEFINERS = {"create_partitions", "make_room_for_rejected", "probe", "store_reports"}


async def test_what_runs_with_the_owners_rights_cannot_be_led_astray(sql: asyncpg.Connection):
    """By an object of the caller's that is found before the one that is meant."""
    functions = await sql.fetch("SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND proowner <> 10")
    assert {row["proname"] for row in functions} == DEFINERS
    assert all("search_path=pg_catalog, pg_temp" in row["proconfig"] for row in functions)


async def test_a_function_that_the_owner_makes_is_nobody_elses(sql: asyncpg.Connection, login: As):
    await sql.execute("SET ROLE sms_owner")
    await sql.execute("CREATE FUNCTION sms_data.later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    await refuses(login("ingest"), ["SELECT sms_data.later()"])


ADVISORY = ("sms_data.create_partitions", "sms_data.rejected_ring", "sms_data.code")
"""What any login may lock: nothing may wait for it."""
LOCKED_BY_FUNCTIONS = ("partitioned_table", "rejected_ring")
WRITTEN_BY_FUNCTIONS = ("message", "report")
IN_THE_WAY = (
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
"""The modes that conflict with SHARE ROW EXCLUSIVE."""
CALLS = ("SELECT sms_data.create_partitions('2026-03-02')", "SELECT sms_data.make_room_for_rejected(1 << 30)")


def lock(tables: Iterable[str]) -> list[str]:
    return [f"DO 'BEGIN LOCK TABLE {one} IN {mode} MODE; END'" for one, mode in product(tables, IN_THE_WAY)]


async def test_a_dashboard_that_holds_advisory_locks_stops_nothing(login: As, sql: asyncpg.Connection):
    await sql.execute("UPDATE sms_data.catalogue SET fingerprint = 'of an older version'")
    async with connected(login("dashboard")) as dashboard, connected(login("ingest")) as ingest, asyncio.timeout(30):
        for name in ADVISORY:
            await dashboard.execute("SELECT pg_advisory_lock(hashtext($1))", name)
        for call in CALLS:
            await ingest.execute(call)
        assert await catalogue_table.sync(ingest)
    assert await sql.fetchval("SELECT count(*) FROM sms_data.partition WHERE name = 'report_20260302'") == 1


async def test_nobody_else_can_hold_the_locks_that_are_waited_for(login: As):
    functions = [f"sms_data.{table}" for table in (*LOCKED_BY_FUNCTIONS, *WRITTEN_BY_FUNCTIONS)]
    await refuses(login("ingest"), lock(functions))
    await refuses(login("dashboard"), lock([*functions, "sms_data.code", "sms.code", "sms.rejected_payload"]))


async def test_a_probe_waits_for_nobody_who_has_the_services_rights(login: As):
    """The breaker closes when a probe is committed: a lock that one could hold would keep it open everywhere."""
    async with connected(login("ingest")) as stolen, connected(login("ingest")) as ingest, stolen.transaction():
        await stolen.execute("SELECT sms_data.probe()")
        await ingest.execute("SET lock_timeout = '1s'")
        await ingest.execute("SELECT sms_data.probe()")
    await refuses(login("ingest"), lock(["sms_data.probe"]))


@pytest.mark.parametrize("call", CALLS)
async def test_a_lock_of_the_owners_is_not_waited_for_without_end(login: As, sql: asyncpg.Connection, call: str):
    async with connected(login("ingest")) as ingest, asyncio.timeout(30), sql.transaction():
        for table in LOCKED_BY_FUNCTIONS:
            await sql.execute(f"LOCK TABLE sms_data.{table} IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await ingest.execute(call)


async def test_the_writer_makes_no_partitions_of_days_that_cannot_be(login: As, sql: asyncpg.Connection):
    """HttpRefusal as wrong data: the service sets such a callback apart, where another error would stop it."""
    async with connected(login("ingest")) as ingest:
        for day in ("'2019-12-31'", "current_date + 402", "'9999-12-31'", "'infinity'", "'-infinity'", "NULL"):
            with pytest.raises(asyncpg.DatetimeFieldOverflowError, match="no partitions are made for"):
                await ingest.execute(f"SELECT sms_data.create_partitions({day})")
        assert await sql.fetchval("SELECT count(*) FROM sms_data.partition WHERE day IS NOT NULL") == 0
        for day in ("'2020-01-01'", "current_date + 399"):
            assert await ingest.fetchval(f"SELECT sms_data.create_partitions({day})") == len(PARTITIONED)
