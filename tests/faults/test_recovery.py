"""Somebody drops or empties the tables: a backup and archived WAL are recovered to a time before, on another server.

As docs/operations.md says. What arrives after the disaster waits in the spool for the server that comes.
"""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import cluster as clusters
from support import command, failover
from support import ledger as ledgers
from support import rig as rigs
from support.cluster import APPLICATION, Cluster
from support.recovery import ARCHIVES, Archive
from support.rig import Rig

from receiver.embedded.layout import SUPERUSER

DISASTERS = {
    "dropped": ("DROP SCHEMA sms_data CASCADE",),
    # The service would go on, in tables that are given up: it is kept out, so that it spools.
    "emptied": (
        "DELETE FROM sms_data.message",
        "DELETE FROM sms_data.report",
        f"ALTER ROLE {APPLICATION} CONNECTION LIMIT 0",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{APPLICATION}'",
    ),
}


@pytest.fixture(scope="module")
async def archived(open_folder: Path) -> AsyncIterator[Cluster]:
    async with clusters.running(open_folder / "archived", ARCHIVES) as cluster:
        yield cluster


@pytest.fixture
async def cluster(archived: Cluster) -> AsyncIterator[Cluster]:
    """It lets the service in again afterwards."""
    yield archived
    await archived.administrate(f"ALTER ROLE {APPLICATION} CONNECTION LIMIT -1")


@pytest.mark.parametrize("disaster", DISASTERS)
async def test_recovery_to_a_time_before_the_tables_were(
    cluster: Cluster, open_folder: Path, say: Callable[[str], None], disaster: str
) -> None:
    archive = await Archive.of(cluster, open_folder / f"archive-{disaster}")
    database = await cluster.new_database()
    backup = await archive.back_up(open_folder / f"recovered-{disaster}")
    url = cluster.url(database, user=APPLICATION)
    async with rigs.serving(cluster, open_folder, database, say=say, rate=60, database_url=url) as rig:
        await rig.load.answered(100)
        target = time.time()
        await rig.load.answered(100)
        await cluster.administrate(*DISASTERS[disaster], database=database)
        doubtful = failover.spooled_by(rig)  # and drained before it, perhaps
        await rig.service.spooling(100)
        await archive.complete()
        async with archive.recovered(backup, target) as recovered:
            await is_usable(recovered, database, open_folder)
            moved = time.time()
            await move(rig, recovered)
            await compare(rig, target, moved, doubtful)


async def is_usable(recovered: Cluster, database: str, folder: Path) -> None:
    """The owner's command and the service's find nothing to do and nothing wrong."""
    for arguments, user in ((("migrate",), SUPERUSER), (("check", "--quiet"), APPLICATION)):
        settings = {"database_url": recovered.url(database, user=user), "data_dir": folder / "checked"}
        ended = await command.receiver(*arguments, folder=folder, **settings)
        assert ended.code == 0, ended


async def move(rig: Rig, recovered: Cluster) -> None:
    """Restart the service with the new server's URL, and let its spool drain."""
    assert await rig.service.terminate() == 0
    rig.service.set(database_url=recovered.url(rig.database, user=APPLICATION))
    rig.cluster = recovered
    await rig.service.start()
    await rig.load.answered(100)


async def compare(rig: Rig, target: float, moved: float, doubtful: set[str]) -> None:
    """All is there that was acknowledged before that time; of what came after it, all that had gone to the spool."""
    ledger = await rig.load.stop()
    await rig.service.drained()
    url = rig.cluster.socket_url(rig.database)
    rows, spooled = await ledgers.stored(url), failover.spooled_by(rig)
    answered = [attempt for attempt in ledger.attempts.values() if attempt.outcome == "ok" and attempt.ended]
    before = {i for attempt in answered if attempt.ended < target for i in attempt.ids} - doubtful
    given_up = {i for attempt in answered if target < attempt.began < moved for i in attempt.ids} - spooled
    after = {i for attempt in answered if attempt.began > moved for i in attempt.ids}
    after |= spooled & ledger.ids("ok") - doubtful
    for name, ids in {"acknowledged before": before, "after it": given_up, "spooled, or at the new": after}.items():
        rig.say(f"{name:<24}{len(ids):>6}  stored {len(ids & rows.keys()):>6}  missing {len(ids - rows.keys()):>6}")
    assert before | after <= rows.keys()
    assert not given_up & rows.keys()
    assert given_up, "nothing was committed between that time and the disaster: the run proves little"
    verdict = ledgers.judge(ledger, rows)
    assert not verdict.duplicated | verdict.invented | verdict.mistimed
    await failover.counts_agree(url)
    assert not rig.service.noise(), "\n".join(rig.service.noise())
