"""A migration while reports come, and while somebody reads what it wants to change."""

import asyncio
from pathlib import Path

import asyncpg
from support import versions
from support.command import receiver
from support.rig import Loaded
from support.versions import Migration

WIDER = Migration("ALTER TABLE sms_data.message ADD COLUMN campaign text")
READS_FOR_S = 8.0
LONG = Migration("ALTER TABLE sms_data.message ADD COLUMN campaign text; SELECT pg_sleep(4)")
"""It holds what writers need, as one does that fills a table."""


async def test_no_report_waits_behind_a_migration_that_waits_for_a_long_query(
    loaded: Loaded, open_folder: Path, tmp_path: Path
) -> None:
    """A lock that waits lets nobody pass: the writers would wait as long as the query goes on."""
    code = versions.after(open_folder / "campaigns", [WIDER])
    async with loaded(database_timeout_s=3.0, answer_deadline_s=6.0) as rig:
        url = rig.cluster.socket_url(rig.database)
        reader = await asyncpg.connect(url)
        async with reader.transaction():
            await reader.fetch("SELECT FROM sms.message LIMIT 1")
            with rig.phase("a migration waits for a query"):
                migrating = asyncio.create_task(receiver("migrate", folder=tmp_path, code=code, database_url=url))
                await asyncio.sleep(READS_FOR_S)
                assert not migrating.done()
        await reader.close()
        with rig.phase("it is run"):
            assert (await migrating).code == 0
            await rig.load.answered(50)
        await rig.check(every_one_ok=True)
        spooled = [line for line in rig.service.output if "spool.opened" in line or "database.unavailable" in line]
        assert spooled == []


async def test_while_a_migration_changes_what_is_written_to_reports_wait_in_the_spool(
    loaded: Loaded, open_folder: Path, tmp_path: Path
) -> None:
    code = versions.after(open_folder / "long", [LONG])
    async with loaded() as rig:
        url = rig.cluster.socket_url(rig.database)
        with rig.phase("a migration holds the table"):
            migrating = asyncio.create_task(receiver("migrate", folder=tmp_path, code=code, database_url=url))
            await rig.service.spooling(10)
            assert (await migrating).code == 0
        with rig.phase("afterwards"):
            await rig.service.drained()
            await rig.load.answered(50)
        await rig.check(every_one_ok=True)
