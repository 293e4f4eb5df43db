"""Migrations of a user's own database: by `receiver migrate` alone, in one piece, by one at a time."""

import asyncio
import os
import shutil
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.command import CHECKOUT, receiver
from support.databases import administrate, connected, with_database
from support.golden import UPDATE
from support.reports import NOON, job, report
from support.schema_text import comparable, schema_text

from receiver.store import postgres, sql
from receiver.store import schema as migrate
from receiver.store.schema import MigrationError, SchemaBehindError

OBJECTS = """
SELECT n.nspname, c.relname, c.relkind::text, c.relacl::text FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname LIKE 'sms%'
UNION ALL
SELECT n.nspname, p.proname, md5(p.prosrc), p.proacl::text FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname LIKE 'sms%'
ORDER BY 1, 2, 3
"""
SET_REVISION = "UPDATE sms_data.alembic_version SET version_num = $1"


async def objects(url: str) -> list[tuple[str, ...]]:
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(OBJECTS)]


async def current(url: str) -> str | None:
    async with connected(url) as connection:
        return await migrate.current(connection)


async def test_an_empty_database_gets_everything(empty_database):
    assert await current(empty_database) is None
    await migrate.upgrade(empty_database)
    assert await current(empty_database) == migrate.head()
    views = {name for schema, name, *_ in await objects(empty_database) if schema == "sms"}
    assert views >= {"delivery_report", "message", "reply", "rejected_payload", "code"}


async def test_a_second_run_changes_nothing(empty_database):
    await migrate.upgrade(empty_database)
    before = await objects(empty_database)
    await migrate.upgrade(empty_database)
    assert await objects(empty_database) == before


async def test_runners_at_the_same_time_take_turns(empty_database):
    await asyncio.gather(*(migrate.upgrade(empty_database) for _ in range(3)))
    assert await current(empty_database) == migrate.head()


async def test_two_processes_at_the_same_time_both_succeed(empty_database, tmp_path):
    """As in a rolling deployment in which every instance runs the migration first."""
    runs = [receiver("migrate", folder=tmp_path, database_url=empty_database) for _ in range(2)]
    for ended in await asyncio.gather(*runs):
        assert (ended.code, ended.err) == (0, ""), ended
        assert ended.out == f"The schema is at {migrate.head()}.\n"
    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sms.code") > 1_900


async def test_schema_sql_is_what_the_migrations_make(template, cluster):
    file = CHECKOUT / "migrations" / "schema.sql"
    async with connected(with_database(cluster, template)) as connection:
        text = await schema_text(connection)
    if os.environ.get(UPDATE):
        file.write_text(text, encoding="utf-8")
    assert comparable(file.read_text(encoding="utf-8")) == comparable(text), "`make schema` writes it anew"


LATER = """
from receiver.store.schema import run_script

revision, down_revision = "0002", "0001"


def upgrade():
    run_script("0002/column.sql")
"""
COLUMN = """
ALTER TABLE sms_data.message ADD COLUMN campaign text;
CREATE TABLE sms_data.campaign (name text PRIMARY KEY);
"""


async def test_an_upgrade_from_this_version_keeps_what_is_stored(empty_database, tmp_path, monkeypatch):
    await migrate.upgrade(empty_database)
    assert migrate.head() == "0001", "add what the new migration has to bring over"
    async with connected(empty_database) as connection:
        await connection.execute(sql.CREATE_PARTITIONS, NOON.date())
        session = postgres.Session(connection)
        await postgres.write(session, [job(report("ACCEPTD"), report("DELIVRD"))], 10.0)
        before = await connection.fetch("SELECT * FROM sms.message")

        later = shutil.copytree(migrate.folder(), tmp_path / "migrations")
        (later / "versions" / "0002_later.py").write_text(LATER)
        (later / "sql" / "0002").mkdir()
        (later / "sql" / "0002" / "column.sql").write_text(COLUMN)
        monkeypatch.setattr(migrate, "folder", lambda: later)
        with pytest.raises(SchemaBehindError, match="at 0001 and this version needs 0002: run `receiver migrate`"):
            await migrate.check(connection)
        await migrate.upgrade(empty_database)
        await migrate.check(connection)
        assert await connection.fetch("SELECT * FROM sms.message") == before
        assert not (await postgres.write(session, [job(report("DELIVRD"))], 10.0)).stored
        owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'campaign'"
        assert await connection.fetchval(owner) == "sms_owner"


def serve(url, tmp_path):
    return receiver(
        "serve", folder=tmp_path, database_url=url, data_dir=tmp_path / "data", host="127.0.0.1", port=0, ops_port=0
    )


async def test_serve_refuses_an_empty_database_and_names_the_command(empty_database, tmp_path):
    complaint = (await serve(empty_database, tmp_path)).complaint
    assert "at nothing" in complaint
    assert "run `receiver migrate`" in complaint
    assert await objects(empty_database) == [], "nothing was created behind the operator's back"


async def test_serve_refuses_a_schema_that_is_behind(database, sql, monkeypatch, tmp_path):
    behind = migrate.head()
    monkeypatch.setattr(migrate, "head", lambda: "9999")
    with pytest.raises(SchemaBehindError, match=f"at {behind} and this version needs 9999: run `receiver migrate`"):
        await migrate.check(sql)
    await sql.execute("DELETE FROM sms_data.alembic_version")
    assert "run `receiver migrate`" in (await serve(database, tmp_path)).complaint


async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(database, sql, tmp_path):
    """To run this version's migrate would not help, so nobody is told to."""
    await sql.execute(SET_REVISION, "9999")
    before = await objects(database)
    for ended in await asyncio.gather(
        serve(database, tmp_path), receiver("migrate", folder=tmp_path, database_url=database)
    ):
        assert "at 9999, which this version does not know" in ended.complaint
        assert "receiver migrate" not in ended.complaint
    assert await objects(database) == before


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database, tmp_path):
    """Somebody has a table of that name already; all that was created before it is gone again."""
    await administrate(
        empty_database, "CREATE SCHEMA sms_data", "CREATE TABLE sms_data.rejected_payload (theirs integer)"
    )
    complaint = (await receiver("migrate", folder=tmp_path, database_url=empty_database)).complaint
    assert "rejected_payload" in complaint
    assert [row[:3] for row in await objects(empty_database)] == [("sms_data", "rejected_payload", "r")]
    assert await current(empty_database) is None


async def test_after_a_failure_the_next_run_succeeds(empty_database):
    await administrate(empty_database, "CREATE SCHEMA sms_data", "CREATE TABLE sms_data.code (theirs integer)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate.upgrade(empty_database)
    await administrate(empty_database, "DROP TABLE sms_data.code")
    await migrate.upgrade(empty_database)
    assert await current(empty_database) == migrate.head()


@pytest.fixture
async def stranger(cluster, template):
    """Name of a login role that may migrate, if the database lets it."""
    assert template
    await administrate(cluster, "CREATE ROLE stranger LOGIN IN ROLE sms_owner")
    yield "stranger"
    await administrate(cluster, "DROP ROLE stranger")


def login(url: str, role: str) -> str:
    return url.replace("//postgres@", f"//{role}@")


async def test_a_role_that_may_not_create_is_told_so_in_one_line(empty_database, stranger, tmp_path):
    complaint = (await receiver("migrate", folder=tmp_path, database_url=login(empty_database, stranger))).complaint
    assert "permission denied" in complaint


async def test_so_is_one_that_may_create_schemas_but_not_in_ours(empty_database, stranger):
    """Alembic's own table is what it cannot create then."""
    name = urlsplit(empty_database).path.removeprefix("/")
    await administrate(
        empty_database,
        "CREATE SCHEMA sms_data",
        f"GRANT USAGE ON SCHEMA sms_data TO {stranger}",
        f"GRANT CREATE ON DATABASE {name} TO {stranger}",
    )
    try:
        with pytest.raises(MigrationError, match="permission denied for schema sms_data"):
            await migrate.upgrade(login(empty_database, stranger))
    finally:
        await administrate(empty_database, f"DROP OWNED BY {stranger}")


async def test_an_ordinary_owner_of_the_database_can_migrate_it(cluster, stranger):
    """No superuser: the roles are there already, from whoever may create them."""
    await administrate(cluster, f"CREATE DATABASE theirs OWNER {stranger}")
    url = with_database(cluster, "theirs")
    try:
        await migrate.upgrade(login(url, stranger))
        assert await current(url) == migrate.head()
    finally:
        await administrate(cluster, "DROP DATABASE theirs WITH (FORCE)")
