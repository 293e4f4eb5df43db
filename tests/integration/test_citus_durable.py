"""A commit is on the disk of each node that has a part in it, whatever an administrator's settings there say."""

from pathlib import Path

from support.checking import checking
from support.citus import Citus
from support.databases import connected
from support.preloaded import Commands

from receiver.database_hosts import database
from receiver.store import schema

ALONE = "SET citus.enable_ddl_propagation = off"
COMMITS = """
SELECT array_agg(DISTINCT result) FROM run_command_on_all_nodes($$ SELECT current_setting('synchronous_commit') $$)
"""


async def careless(citus: Citus, name: str, change: str = "SET synchronous_commit = off") -> None:
    """On one worker the database does not wait for its disk."""
    await citus.workers[0].administrate(ALONE, f"ALTER DATABASE {name} {change}")


async def test_a_migration_lets_every_node_wait_for_its_disk(citus: Citus) -> None:
    name = await citus.empty_database("careless")
    await careless(citus, name)
    async with connected(citus.socket_url(name)) as sql:
        assert await sql.fetchval(COMMITS) == ["off", "on"]
        await sql.execute((schema.folder() / "sql" / "distributed" / "sessions.sql").read_text())
    async with connected(citus.socket_url(name)) as sql:
        assert await sql.fetchval(COMMITS) == ["on"]
    await citus.drop_database(name)


async def test_a_check_names_the_node_that_does_not_and_tells_how_far_a_required_replica_goes(
    citus: Citus, spread: str, commands: Commands, tmp_path: Path
) -> None:
    worker = citus.workers[0]
    await careless(citus, database(spread))
    check = checking(commands, tmp_path / "data", spread)
    found = await check(require_sync_replica="true")
    assert f":{worker.port}: a crash there loses reports" in found("nodes", "error")
    assert "RECEIVER_REQUIRE_SYNC_REPLICA asks the standbys of the coordinator alone" in found("nodes", "warning")
    assert f":{citus.workers[1].port} answers" in found("nodes", "ok")
    await careless(citus, database(spread), "RESET synchronous_commit")
    async with connected(spread) as sql:
        await sql.execute("ALTER ROLE sms_owner SET synchronous_commit = off")
        try:
            assert "a crash there" in (await check())("nodes", "error")
        finally:
            await sql.execute("ALTER ROLE sms_owner RESET synchronous_commit")
    assert not (await check())("nodes", "error")
