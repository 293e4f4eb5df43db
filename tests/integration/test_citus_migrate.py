"""`receiver migrate --distributed`: what it needs, what it leaves, and what grows into it."""

import asyncio
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from support import citus as citus_support
from support.citus import SHARDS, Citus
from support.databases import connected
from support.preloaded import Commands
from support.reports import NOON, job, report, submission
from support.waiting import eventually
from support.writers import writing

from receiver.store import distributing, postgres
from receiver.store import schema as migrate
from receiver.store.distributing import NotDistributable
from receiver.store.job import Job
from receiver.store.maintenance import counts

_numbers = count()

SPREAD = "SELECT logicalrelid::text FROM pg_dist_partition ORDER BY 1"
LEFT = """
SELECT max(name) FROM (SELECT logicalrelid::regclass::text AS name FROM pg_dist_partition) AS spread
WHERE pg_relation_size(name::regclass) > 0
"""
TOLD = (
    "SELECT message_id, status, segments_reported FROM sms.message ORDER BY 1",
    "SELECT message_id, report_id FROM sms.delivery_report ORDER BY 1, 2",
    "SELECT message_id, code FROM sms.submission ORDER BY 1",
    "SELECT hour, status, sum(messages) AS m, sum(reports) AS r FROM sms.hourly GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT hour, sum(requests) AS requests, sum(fees) AS fees FROM sms.hourly GROUP BY 1 ORDER BY 1",
    "SELECT day, status, sum(messages) AS messages, sum(taken) AS taken FROM sms.daily GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT day, code, sum(messages) AS messages FROM sms.daily_codes GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT day, seconds, sum(messages) AS messages FROM sms.daily_delivery_times GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT hour, seconds, sum(messages) AS messages FROM sms.delivery_times GROUP BY 1, 2 ORDER BY 1, 2",
)


@pytest.fixture
async def bare(citus: Citus) -> str:
    """URL of a database of all nodes with nothing in it."""
    return citus.socket_url(await citus.empty_database(f"bare_{next(_numbers)}"))


def jobs(first: int) -> list[Job]:
    """Messages of two days, with a submission and two reports each."""
    made = []
    for n in range(first, first + 12):
        at, name = NOON + timedelta(hours=5 * n), f"m-{n}"
        rows = (
            submission(message_id=name, submitted_at=at),
            report("ACCEPTD", message_id=name, happened_at=at),
            report("DELIVRD" if n % 3 else "UNDELIV", message_id=name, happened_at=at + timedelta(seconds=n)),
        )
        made.append(job(*rows, received_at=at))
    return made


async def write(sql: asyncpg.Connection, given: list[Job]) -> int:
    """Store them, and fold some; how many rows were new."""
    session = postgres.Session(sql)
    await postgres.create_partitions(session, given)
    stored = len((await postgres.write(session, given[:6], 30.0)).stored)
    await counts.fold(sql)
    return stored + len((await postgres.write(session, given[6:], 30.0)).stored)


@pytest.mark.skipif(citus_support.ALL, reason="is about a PostgreSQL without Citus")
async def test_a_postgresql_without_citus_is_left_as_it_was(empty_database: str, commands: Commands) -> None:
    ended = await commands.run("migrate", "--distributed", database_url=empty_database, data_dir="data")
    assert ended.code == 1
    assert "has no Citus" in ended.complaint
    async with connected(empty_database) as sql:
        assert await migrate.current(sql) is None


async def test_it_asks_for_workers_for_the_coordinator_and_for_a_superuser(citus: Citus) -> None:
    alone = f"alone_{next(_numbers)}"
    await citus.administrate(f"CREATE DATABASE {alone}")
    await citus.administrate("CREATE EXTENSION citus", database=alone)
    with pytest.raises(NotDistributable, match="citus_add_node"):
        await migrate.upgrade(citus.socket_url(alone), shards=SHARDS)
    name = await citus.empty_database(f"asked_{next(_numbers)}")
    with pytest.raises(NotDistributable, match="not the coordinator"):
        await migrate.upgrade(citus.workers[0].socket_url(name), shards=SHARDS)
    await citus.administrate("CREATE ROLE owner_alone LOGIN", database=name)
    with pytest.raises(NotDistributable, match="takes a superuser"):
        await migrate.upgrade(citus.url(name, user="owner_alone"), shards=SHARDS)


async def test_a_database_that_grows_keeps_what_is_stored_and_counts_on(bare: str) -> None:
    """Distributed with its data, in one transaction: one that is cut off leaves it as it was."""
    await migrate.upgrade(bare)
    async with connected(bare) as sql, connected(bare) as reading:
        assert not await distributing.is_distributed(sql)
        await write(sql, jobs(0))
        before = [await sql.fetch(one) for one in TOLD]
        await reading.execute("BEGIN; LOCK TABLE sms_data.submission IN ACCESS SHARE MODE")
        growing = asyncio.create_task(migrate.upgrade(bare, shards=SHARDS))
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'sms_data.submission'::regclass LIMIT 1"
        await eventually(lambda: sql.fetchval(waiting))
        await sql.execute(f"SELECT pg_terminate_backend(({waiting}))")
        with pytest.raises(Exception, match=r"terminat|closed"):
            await growing
        await reading.execute("COMMIT")
        assert await sql.fetch(SPREAD) == []

        await migrate.upgrade(bare, shards=SHARDS)
        assert await distributing.is_distributed(sql)
        assert await sql.fetchval(LEFT) is None, "no row is kept a second time"
        assert [await sql.fetch(one) for one in TOLD] == before
        assert await counts.recount(sql) == 0
        assert await write(sql, jobs(0)) == 0, "what was stored on one node is a duplicate on many"
        assert await write(sql, jobs(12)) == 36
        assert await counts.recount(sql) == 0

        spread = await sql.fetch(SPREAD)
        for shards in (SHARDS, None):  # again, and as a later version that knows of nothing
            await migrate.upgrade(bare, shards=shards)
        assert await sql.fetch(SPREAD) == spread
        assert await write(sql, jobs(24)) == 36


HOLDS = "SELECT EXISTS (SELECT FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = $1)"
UNTIL_SOMEBODY_WAITS = """
DO $$
BEGIN
    FOR attempt IN 1 .. 3000 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'sms_data.message'::regclass);
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
"""


async def test_what_a_writer_stores_that_waited_for_the_distribution_is_counted(
    bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the function that wrote until then, whose rows a trigger counted."""
    await migrate.upgrade(bare)
    folder = shutil.copytree(migrate.folder(), tmp_path / "migrations")
    (folder / "sql" / "distributed" / "waited_for.sql").write_text(UNTIL_SOMEBODY_WAITS)
    monkeypatch.setattr(migrate, "folder", lambda: folder)
    monkeypatch.setattr(distributing, "SCRIPTS", (*distributing.SCRIPTS, "waited_for"))
    async with connected(bare) as sql, writing(bare, timeout_s=120.0) as writer:
        await postgres.create_partitions(postgres.Session(sql), [job(report())])
        await writer.write(job(report(message_id="before")))
        table = await sql.fetchval("SELECT 'sms_data.message'::regclass::oid")
        growing = asyncio.create_task(migrate.upgrade(bare, shards=SHARDS))
        await eventually(lambda: sql.fetchval(HOLDS, table))
        assert len((await writer.write(job(report(message_id="meanwhile")))).stored) == 1
        await growing
        assert await distributing.is_distributed(sql)
        assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 2
        assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == 2


LATER = """
from receiver.store.schema import run_script

revision, down_revision = "9000", "{before}"


def upgrade():
    run_script("9000/later.sql")
"""
CHANGES = """
ALTER TABLE sms_data.message ADD COLUMN campaign text;
CREATE INDEX message_campaign ON sms_data.message (campaign) WHERE campaign IS NOT NULL;
ALTER TABLE sms_data.report ADD COLUMN campaign text;
CREATE TABLE sms_data.campaign (name text PRIMARY KEY);
"""


async def test_a_later_migration_changes_every_shard(
    spread: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(spread) as sql:
        await write(sql, jobs(0))
        later = shutil.copytree(migrate.folder(), tmp_path / "migrations")
        (later / "versions" / "9000_later.py").write_text(LATER.format(before=migrate.head()))
        (later / "sql" / "9000").mkdir()
        (later / "sql" / "9000" / "later.sql").write_text(CHANGES)
        monkeypatch.setattr(migrate, "folder", lambda: later)
        await migrate.upgrade(spread)
        await migrate.check(sql)
        await sql.execute("UPDATE sms_data.message SET campaign = 'spring'")
        assert await sql.fetchval("SELECT count(*) FROM sms_data.message WHERE campaign = 'spring'") == 12
        assert await write(sql, jobs(0)) == 0
        assert await write(sql, jobs(12)) == 36


async def test_what_belongs_to_a_message_lies_together_and_the_counts_are_on_many_shards(spread: str) -> None:
    async with connected(spread) as sql:
        groups = "SELECT count(DISTINCT colocation_id) FROM citus_tables WHERE distribution_column = ANY ($1)"
        assert await sql.fetchval(groups, ["message_id", "anchor"]) == 1
        given = [job(report(message_id=f"m-{n}")) for n in range(40)]
        await postgres.create_partitions(postgres.Session(sql), given)
        for one in given:
            await postgres.write(postgres.Session(sql), [one], 30.0)
        assert await sql.fetchval("SELECT count(DISTINCT anchor) FROM sms_data.message_delta") == SHARDS
        assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == 40


async def test_the_services_login_writes_and_maintains_and_can_do_no_more(citus: Citus, spread: str) -> None:
    name = f"app_{next(_numbers)}"
    async with connected(spread) as owner:
        await owner.execute(f"CREATE ROLE {name} LOGIN IN ROLE sms_writer")
        database = await owner.fetchval("SELECT current_database()")
    async with connected(citus.url(database, user=name)) as sql:
        assert await write(sql, jobs(0)) == 36
        await sql.execute("SELECT sms_data.probe()")
        for statement in (
            "UPDATE sms_data.message SET status = 'delivered'",
            "DELETE FROM sms_data.report",
            "DELETE FROM sms_data.message_delta",
            "INSERT INTO sms_data.submission SELECT * FROM sms_data.submission",
            "SELECT sms_data.recount()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await sql.execute(statement)
