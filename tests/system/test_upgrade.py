"""Three receivers behind a proxy are replaced one by one by those of another version, with a migration in between."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
from support import behind as fleet
from support import versions
from support.behind import Behind
from support.cluster import APPLICATION, Cluster
from support.command import CHECKOUT, receiver
from support.databases import connected
from support.process import ServiceProcess
from support.versions import Migration

from receiver.store import schema

EXPANSION = """
ALTER TABLE sms_data.message ADD COLUMN campaign text;
CREATE TABLE sms_data.campaign (name text PRIMARY KEY);
CREATE VIEW sms.campaign AS SELECT campaign, count(*) AS messages FROM sms_data.message GROUP BY 1;
"""
CONTRACTION = "ALTER TABLE sms_data.message DROP COLUMN campaign CASCADE"


async def migrate(code: Path, cluster: Cluster, database: str, folder: Path) -> str:
    """`receiver migrate` of a version; what it prints."""
    done = await receiver("migrate", folder=folder, code=code, database_url=cluster.socket_url(database))
    assert done.code == 0, done
    return done.out


async def refused(code: Path, cluster: Cluster, database: str, folder: Path, complaint: str) -> None:
    """`receiver serve` of a version complains: it does not start, or, where PostgreSQL took too long, only spools."""
    service = ServiceProcess(folder / "refused", code=code, database_url=cluster.url(database, user=APPLICATION))
    service.launch()
    try:
        await service.told(complaint)
    finally:
        if service.alive:
            await service.kill()


async def replace(behind: Behind, code: Path) -> None:
    """One after the other, by this version."""
    for one in behind.receivers:
        one.set(code=code)
        await behind.restart(one)


async def test_the_version_before_the_counts_by_the_day_and_this_one(
    program: Callable[..., list[str]], reachable: Cluster, open_folder: Path, say: Callable[[str], None], tmp_path: Path
) -> None:
    """The real one, from the history."""
    old = versions.before("0002_days", open_folder / "old")
    database = "from_0001"
    await reachable.administrate(f"CREATE DATABASE {database}")
    await migrate(old, reachable, database, tmp_path)
    folder = open_folder / database
    async with fleet.running("haproxy", program, reachable, database, folder, say, code=old) as behind:
        behindhand = f"at 0001 and this version needs {schema.head()}: run `receiver migrate`"
        await refused(CHECKOUT, reachable, database, tmp_path, behindhand)
        await migrate(CHECKOUT, reachable, database, tmp_path)
        await behind.answered(60)
        await refused(old, reachable, database, tmp_path, "which this version does not know")
        await replace(behind, CHECKOUT)
        await behind.check("from 0001 to this version")
        async with connected(behind.sql_url) as sql:
            await counted_alike(sql)


async def counted_alike(sql: "asyncpg.Connection[asyncpg.Record]") -> None:
    """The counts by the day are those of the messages, whichever version has counted."""
    messages = await sql.fetchval("SELECT count(*) FROM sms.message")
    assert await sql.fetchval("SELECT sum(messages) FROM sms.hourly") == messages
    assert await sql.fetchval("SELECT sum(messages) FROM sms.daily") == messages


async def test_this_version_and_one_to_come(
    program: Callable[..., list[str]], reachable: Cluster, open_folder: Path, say: Callable[[str], None], tmp_path: Path
) -> None:
    """First it is expanded, for both. What the old one cannot live with comes when none of it is left."""
    expanded = versions.following(schema.head())
    expansion = Migration(EXPANSION, compatible_from=schema.head())
    contraction = Migration(CONTRACTION, compatible_from=expanded)
    wider = versions.after(open_folder / "wider", [expansion])
    narrower = versions.after(open_folder / "narrower", [expansion, contraction])
    database = await reachable.new_database()
    async with fleet.running("haproxy", program, reachable, database, open_folder / database, say) as behind:
        await refused(wider, reachable, database, tmp_path, f"this version needs {expanded}")
        await migrate(wider, reachable, database, tmp_path)
        # An old one that restarts in the middle, by itself or by hand.
        await behind.restart(behind.receivers[0])
        await behind.receivers[0].told("database.schema_newer")
        assert f"{expanded}, a newer version's" in await migrate(CHECKOUT, reachable, database, tmp_path)
        await replace(behind, wider)
        await migrate(narrower, reachable, database, tmp_path)
        complaint = f"install a newer version (those that know {expanded} run on it)"
        await refused(CHECKOUT, reachable, database, tmp_path, complaint)
        await behind.restart(behind.receivers[0])
        await behind.check("to a version to come")
