"""Migrations of a user's own database: by `receiver migrate` alone, in one piece, by one at a time."""

import asyncio
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.command import CHECKOUT, receiver
from support.databases import administrate, connected, with_database
from support.golden import UPDATE
from support.preloaded import Commands
from support.reports import NOON, job, report, submission
from support.schema_text import comparable, schema_text

from receiver.store import lock_waits, postgres, sql
from receiver.store import schema as migrate
from receiver.store.lock_waits import LocksNotGranted
from receiver.store.maintenance import counts
from receiver.store.readiness import version_if_ready
from receiver.store.schema import MigrationError, SchemaBehindError

OBJECTS = """
SELECT n.nspname, c.relname, c.relkind::text, c.relacl::text FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname LIKE 'sms%'
UNION ALL
SELECT n.nspname, p.proname, md5(p.prosrc), p.proacl::text FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname LIKE 'sms%'
ORDER BY 1, 2, 3
"""


async def objects(url: str) -> list[tuple[str, ...]]:
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(OBJECTS)]


async def current(url: str) -> str | None:
    async with connected(url) as connection:
        return await migrate.current(connection)


async def complaints(commands: Commands, url: str, *names: str) -> list[str]:
    ours = {"database_url": url, "data_dir": "data", "host": "127.0.0.1", "port": 0, "ops_port": 0}
    return [(await commands.run(name, **ours)).complaint for name in names]


async def test_the_life_of_a_database(empty_database: str, commands: Commands, tmp_path: Path) -> None:
    """Nothing but `receiver migrate` changes it, and two at the same time take turns, as in a rolling deployment."""
    assert await current(empty_database) is None
    (told,) = await complaints(commands, empty_database, "serve")
    assert "at nothing" in told
    assert "run `receiver migrate`" in told
    assert await objects(empty_database) == [], "nothing was created behind the operator's back"

    runs = [receiver("migrate", folder=tmp_path, database_url=empty_database) for _ in range(2)]
    for ended in await asyncio.gather(*runs):
        assert (ended.code, ended.out, ended.err) == (0, f"The schema is at {migrate.head()}.\n", "")
    before = await objects(empty_database)
    assert {name for schema, name, *_ in before if schema == "sms"} >= {"message", "reply", "rejected_payload", "code"}
    await migrate.upgrade(empty_database)
    assert await objects(empty_database) == before, "a second run changes nothing"
    assert await current(empty_database) == migrate.head()

    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sms.code") > 1_900
        await connection.execute("UPDATE sms_data.alembic_version SET version_num = '9999', compatible_from = '9999'")
        for told in await complaints(commands, empty_database, "serve", "migrate"):
            assert "at 9999, which this version does not know" in told
            assert "receiver migrate" not in told, "to run this version's migrate would not help"
        assert await objects(empty_database) == before
        await connection.execute("DELETE FROM sms_data.alembic_version")
        (told,) = await complaints(commands, empty_database, "serve")
        assert "run `receiver migrate`" in told


async def test_a_newer_schema_serves_older_versions_as_far_as_it_says(
    empty_database: str, commands: Commands, tmp_path: Path
) -> None:
    """An expansion: an instance of the old version that restarts in the middle of an upgrade runs on it."""
    await migrate.upgrade(empty_database)
    async with connected(empty_database) as connection:
        oldest = "SELECT compatible_from FROM sms_data.alembic_version"
        assert await connection.fetchval(oldest) == migrate.compatible_from()
        await connection.execute("UPDATE sms_data.alembic_version SET version_num = '9999'")
        await connection.execute("DELETE FROM sms_data.code")
        assert await migrate.check(connection) == "9999"
        ran = await commands.run("migrate", database_url=empty_database, data_dir="data")
        assert (ran.code, ran.out) == (0, "The schema is at 9999, a newer version's, on which this one runs.\n")
        assert await version_if_ready(empty_database, "RECEIVER_DATABASE_URL")
        assert await connection.fetchval("SELECT count(*) FROM sms.code") == 0, "the newer version's code tables stay"
        await connection.execute("UPDATE sms_data.alembic_version SET compatible_from = '9998'")
        with pytest.raises(SchemaBehindError, match=r"newer version \(those that know 9998 run on it\)"):
            await migrate.check(connection)


def test_no_migration_lets_older_versions_run_on_than_the_one_before_it() -> None:
    """What runs on a later schema must run on all that came before."""
    migrations = sorted(migrate.scripts().walk_revisions(), key=lambda script: script.revision)
    oldest = [getattr(script.module, "compatible_from", script.revision) for script in migrations]
    assert oldest == sorted(oldest)
    assert all(one <= script.revision for one, script in zip(oldest, migrations, strict=True))


async def test_a_migration_that_gets_no_lock_says_which_session_is_in_the_way(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await migrate.upgrade(empty_database)
    later = later_version(tmp_path)
    monkeypatch.setattr(migrate, "folder", lambda: later)
    monkeypatch.setattr(lock_waits, "_PATIENCE_S", 0.0)
    async with connected(empty_database) as reader:
        async with reader.transaction():
            await reader.fetch("SELECT FROM sms.message")
            in_the_way = (
                f"process {reader.get_server_pid()} \\(postgres\\).* s. End that, or run `receiver migrate` again"
            )
            with pytest.raises(LocksNotGranted, match=in_the_way):
                await migrate.upgrade(empty_database)
            assert await current(empty_database) != migrate.head()
        await migrate.upgrade(empty_database)
        assert await current(empty_database) == migrate.head()


async def test_with_nothing_to_do_it_waits_for_nobody(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a backup, which reads every table for hours."""
    await migrate.upgrade(empty_database)
    monkeypatch.setattr(lock_waits, "_PATIENCE_S", 0.0)
    async with connected(empty_database) as backup, backup.transaction():
        for _, name, kind, _ in await backup.fetch(OBJECTS):
            if kind in {"r", "p"}:
                await backup.execute(f"LOCK TABLE sms_data.{name} IN ACCESS SHARE MODE")
        assert await migrate.upgrade(empty_database) == migrate.head()


def later_version(folder: Path) -> Path:
    """Migrations of a version to come."""
    later = shutil.copytree(migrate.folder(), folder / "migrations")
    (later / "versions" / "0004_later.py").write_text(LATER)
    (later / "sql" / "0004").mkdir()
    (later / "sql" / "0004" / "column.sql").write_text(COLUMN)
    return later


async def test_schema_sql_is_what_the_migrations_make(template, cluster):
    file = CHECKOUT / "migrations" / "schema.sql"
    async with connected(with_database(cluster, template)) as connection:
        text = await schema_text(connection)
    if os.environ.get(UPDATE):
        file.write_text(text, encoding="utf-8")
    assert comparable(file.read_text(encoding="utf-8")) == comparable(text), "`make schema` writes it anew"


LATER = """
from receiver.store.schema import run_script

revision, down_revision = "0004", "0003"


def upgrade():
    run_script("0004/column.sql")
"""
COLUMN = """
ALTER TABLE sms_data.message ADD COLUMN campaign text;
CREATE TABLE sms_data.campaign (name text PRIMARY KEY);
"""


async def test_an_upgrade_from_this_version_keeps_what_is_stored(empty_database, tmp_path, monkeypatch):
    await migrate.upgrade(empty_database)
    assert migrate.head() == "0003", "add what the new migration has to bring over"
    async with connected(empty_database) as connection:
        await connection.execute(sql.CREATE_PARTITIONS, NOON.date())
        session = postgres.Session(connection)
        await postgres.write(session, [job(report("ACCEPTD"), report("DELIVRD"))], 10.0)
        before = await connection.fetch("SELECT * FROM sms.message")

        later = later_version(tmp_path)
        monkeypatch.setattr(migrate, "folder", lambda: later)
        with pytest.raises(SchemaBehindError, match="at 0003 and this version needs 0004: run `receiver migrate`"):
            await migrate.check(connection)
        await migrate.upgrade(empty_database)
        await migrate.check(connection)
        assert await connection.fetch("SELECT * FROM sms.message") == before
        assert not (await postgres.write(session, [job(report("DELIVRD"))], 10.0)).stored
        owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'campaign'"
        assert await connection.fetchval(owner) == "sms_owner"


async def test_the_counts_of_the_first_version_are_there_by_the_day_too(empty_database, tmp_path, monkeypatch):
    first = shutil.copytree(migrate.folder(), tmp_path / "migrations")
    for later in ("0002_days", "0003_functions_that_write"):
        (first / "versions" / f"{later}.py").unlink()
    functions = (migrate.folder() / "sql" / "0003" / "beside_reports.sql").read_text()
    with monkeypatch.context() as of_the_first:
        of_the_first.setattr(migrate, "folder", lambda: first)
        await migrate.upgrade(empty_database)
    async with connected(empty_database) as connection:
        await connection.execute(functions)  # that version inserted the rows itself
        session = postgres.Session(connection)
        for hours in (0, 5, 20):
            at = NOON + timedelta(hours=hours)
            one = job(submission(message_id=f"m-{hours}"), report(message_id=f"m-{hours}"), received_at=at)
            await postgres.create_partitions(session, [one])
            await postgres.write(session, [one], 20.0)
            if hours < 20:
                await counts.fold(connection)
        await connection.execute("DROP FUNCTION sms_data.store_envelopes, sms_data.store_submissions")
        await migrate.upgrade(empty_database)
        found = await connection.fetch(
            "SELECT day, sum(messages), sum(taken), sum(requests) FROM sms.daily GROUP BY 1 ORDER BY 1"
        )
        assert [tuple(row) for row in found] == [(day_of(NOON), 2, 2, 2), (day_of(NOON + timedelta(days=1)), 1, 1, 1)]
        assert await connection.fetchval("SELECT sum(messages) FROM sms.daily_codes") == 3


def day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0)


async def test_a_migration_that_fails_leaves_nothing_behind_and_the_next_one_succeeds(
    empty_database: str, commands: Commands
) -> None:
    """Somebody has a table of that name already; all that was created before it is gone again."""
    theirs = "CREATE TABLE sms_data.rejected_payload (theirs integer)"
    await administrate(empty_database, "CREATE SCHEMA sms_data", theirs)
    (told,) = await complaints(commands, empty_database, "migrate")
    assert "rejected_payload" in told
    assert [row[:3] for row in await objects(empty_database)] == [("sms_data", "rejected_payload", "r")]
    assert await current(empty_database) is None
    await administrate(empty_database, "DROP TABLE sms_data.rejected_payload")
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


async def test_a_role_that_may_not_create_is_told_so_in_one_line(
    empty_database: str, stranger: str, commands: Commands
) -> None:
    url = login(empty_database, stranger)
    (told,) = await complaints(commands, url, "migrate")
    assert "permission denied" in told
    # With schemas of its own, Alembic's table is what it cannot create.
    name = urlsplit(empty_database).path.removeprefix("/")
    await administrate(
        empty_database,
        "CREATE SCHEMA sms_data",
        f"GRANT USAGE ON SCHEMA sms_data TO {stranger}",
        f"GRANT CREATE ON DATABASE {name} TO {stranger}",
    )
    try:
        with pytest.raises(MigrationError, match="permission denied for schema sms_data"):
            await migrate.upgrade(url)
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
