"""Rights on every node of Citus: who may log in to the coordinator may log in to the others too."""

from itertools import count
from pathlib import Path

import pytest
from support import citus as citus_support
from support.checking import checking
from support.citus import SHARDS, Citus
from support.databases import connected
from support.preloaded import Commands

from receiver.database_hosts import database
from receiver.store import lock_waits
from receiver.store import schema as migrate

_numbers = count()

NOBODYS_ELSE = """
SELECT oid::regprocedure::text FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
 WHERE pronamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace)
       AND (grantee NOT IN ('sms_owner'::regrole, 'sms_writer'::regrole, 'sms_reader'::regrole)
            OR proowner <> 'sms_owner'::regrole)
UNION ALL
SELECT oid::regclass::text FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
 WHERE relnamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace) AND relkind IN ('r', 'p', 'v')
       AND (grantee NOT IN ('sms_owner'::regrole, 'sms_writer'::regrole, 'sms_reader'::regrole)
            OR relowner <> 'sms_owner'::regrole)
UNION ALL
SELECT nspname FROM pg_namespace, aclexplode(nspacl) WHERE nspname IN ('sms', 'sms_data') AND grantee = 0
"""
READ = """
SELECT array_agg(relname::text ORDER BY relname::text COLLATE "C") FROM pg_class
 WHERE relnamespace = 'sms_data'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname !~ '_[0-9]{6}$'
       AND has_table_privilege('sms_reader', oid, 'SELECT')
"""
BEHIND_VIEWS = """
alembic_version code code_day_count delivery_time_count delivery_time_day_count delivery_time_delta envelope
failure_class message message_count message_day_count message_delta rejected_payload reply report reporting_lag
reporting_window submission
"""
TABLES = """
SELECT oid::regclass::text AS name FROM pg_class
 WHERE relnamespace = 'sms_data'::regnamespace AND relkind IN ('r', 'p') AND relname !~ '_[0-9]{6}$'
"""


async def not_ours(citus: Citus, name: str) -> list[list[str]]:
    """Of each node: what is another's than the owner's, or open to others than the three groups."""
    found = []
    for node in citus.nodes:
        async with connected(node.socket_url(name)) as sql:
            found.append(sorted({row[0] for row in await sql.fetch(NOBODYS_ELSE)}))
    return found


async def set_up(citus: Citus, name: str, owner: str) -> None:
    """As setup.sql does it on each node: a login for migrations alone."""
    await citus.administrate_each(
        f"CREATE ROLE {owner} LOGIN IN ROLE sms_owner", f"ALTER DATABASE {name} OWNER TO sms_owner"
    )


async def test_a_node_that_joins_has_the_rights_of_the_others_once_the_owner_has_migrated(
    open_folder: Path, commands: Commands, tmp_path: Path
) -> None:
    """Citus makes our functions there with PUBLIC's right to call them: a dashboard's login could write reports."""
    async with citus_support.running(open_folder / "joined-citus", citus_support.chosen(), workers=1) as citus:
        name = await citus.empty_database("joined")
        url = citus.socket_url(name)
        await migrate.upgrade(url, shards=SHARDS)
        assert await not_ours(citus, name) == [[], []]
        worker = await citus.new_worker()
        await citus.join(worker, name)
        await set_up(citus, name, "migrating")
        check = checking(commands, tmp_path / "data", url)
        told = (await check())("nodes", "error")
        assert f":{worker.port}: every login may call" in told
        assert "receiver migrate" in told
        await migrate.upgrade(citus.url(name, user="migrating"))
        assert await not_ours(citus, name) == [[], [], []]
        assert not (await check())("nodes", "error")
        told = (await check(database_url=worker.socket_url(name)))("nodes", "error")
        assert "this is not the coordinator" in told


async def test_a_reader_reads_the_tables_behind_the_views_and_no_other(spread: str) -> None:
    async with connected(spread) as sql:
        assert await sql.fetchval(READ) == BEHIND_VIEWS.split()


async def test_the_owner_migrates_again_beside_a_backup(
    citus: Citus, spread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which reads every table for hours, and would hold up each deployment."""
    monkeypatch.setattr(lock_waits, "_PATIENCE_S", 0.0)
    name, owner = database(spread) or "", f"migrates_{next(_numbers)}"
    await set_up(citus, name, owner)
    async with connected(spread) as backup:
        await backup.execute("BEGIN")
        for row in await backup.fetch(TABLES):
            await backup.execute(f"LOCK TABLE {row['name']} IN ACCESS SHARE MODE")
        assert await migrate.upgrade(citus.url(name, user=owner)) == migrate.head()
