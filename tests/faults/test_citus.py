"""Nodes of Citus die, hang and join under load: nobody is sent away, and nothing is lost or stored twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from support import citus as citus_support
from support import failover
from support import rig as rigs
from support.citus import Citus
from support.cluster import APPLICATION, Cluster
from support.databases import connected, fill_template
from support.rig import Rig

KILLS = 3
DOWN_S = 2.0
HUNG_S = 6.0
SLOW = {"database_timeout_s": 3.0, "answer_deadline_s": 4.0}
"""Three nodes and the load are on one machine here."""

MOVES = "SELECT count(*) FROM citus_rebalance_status() WHERE state NOT IN ('finished', 'failed', 'cancelled')"
PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'citus%' AND database = current_database()"


_fill = partial(fill_template, shards=citus_support.SHARDS)
_APPLICATION = f"CREATE ROLE {APPLICATION} LOGIN IN ROLE sms_writer"
"""The coordinator makes it on every node."""


@pytest.fixture(scope="module")
async def fragile_citus(open_folder: Path) -> AsyncIterator[Citus]:
    binaries = citus_support.chosen()
    async with citus_support.running(open_folder / "fragile-citus", binaries) as citus:
        await citus.make_distributed_template(_fill)
        await citus.administrate(_APPLICATION, database="template_citus")
        yield citus


@asynccontextmanager
async def loaded(citus: Citus, folder: Path, say: Callable[[str], None], database: str = "") -> AsyncIterator[Rig]:
    database = database or await citus.new_database()
    url = citus.url(database, user=APPLICATION)
    async with rigs.serving(citus, folder, database, database_url=url, say=say, rate=60, **SLOW) as rig:
        yield rig


async def check(citus: Citus, rig: Rig) -> failover.Evidence:
    """Nothing is lost, nothing is counted wrong, and no node is left with a transaction that nobody ends."""
    url = citus.socket_url(rig.database)
    evidence = await failover.settled(url, rig)
    failover.nothing_lost(evidence, rig)
    async with asyncio.timeout(60):
        for node in citus.nodes:
            async with connected(node.socket_url(rig.database)) as sql:
                while await sql.fetchval(PREPARED):
                    await asyncio.sleep(0.2)
    await failover.counts_agree(url)
    return evidence


@pytest.mark.parametrize("which", ["a worker", "the coordinator"])
async def test_kill_9_of_a_node_again_and_again(
    fragile_citus: Citus, open_folder: Path, say: Callable[[str], None], which: str
) -> None:
    """A transaction may be prepared on it, and be committed or rolled back once it is there again."""
    dice = random.Random(13)
    async with loaded(fragile_citus, open_folder, say) as rig:
        for number in range(KILLS):
            node = dice.choice(fragile_citus.workers) if which == "a worker" else fragile_citus
            await asyncio.sleep(dice.uniform(0, 2))
            with rig.phase(f"kill {number + 1} of {which}"):
                node.kill()
                await rig.service.until(lambda answer: not answer["database"], 60)
                await asyncio.sleep(DOWN_S)
                await node.start()
                await rig.service.until(lambda answer: answer["database"], 60)
                await rig.load.answered(30)
        assert (await check(fragile_citus, rig)).spooled


async def test_a_worker_hangs(fragile_citus: Citus, open_folder: Path, say: Callable[[str], None]) -> None:
    """It takes connections by the kernel's courtesy and says nothing: each commit would wait for it."""
    async with loaded(fragile_citus, open_folder, say) as rig:
        with rig.phase("a worker paused"):
            fragile_citus.workers[0].pause()
            try:
                await rig.service.until(lambda answer: not answer["database"], 60)
                await asyncio.sleep(HUNG_S)
            finally:
                fragile_citus.workers[0].resume()
            await rig.service.until(lambda answer: answer["database"], 60)
            await rig.load.answered(30)
        assert (await check(fragile_citus, rig)).spooled


async def test_a_node_joins_and_takes_its_share_under_load(open_folder: Path, say: Callable[[str], None]) -> None:
    """A row that has moved was committed when it was copied: its time in the spool is none."""
    binaries = citus_support.chosen()
    async with citus_support.running(open_folder / "growing-citus", binaries, workers=1) as citus:
        database = await citus.empty_database("growing")  # a copy of another would know that one's name
        await _fill(citus.socket_url(database))
        await citus.administrate(_APPLICATION, database=database)
        async with loaded(citus, open_folder, say, database) as rig:
            with rig.phase("a node joins"):
                worker = await citus.new_worker()
                await citus.join(worker, database)
                await rig.load.answered(30)
            with rig.phase("shards move"):
                assert await _rebalanced(citus, database) > 0
                await rig.load.answered(30)
            await check(citus, rig)
            assert worker.port in await _holders(citus, database)


async def _rebalanced(citus: Cluster, database: str) -> int:
    """Start it, and wait for its end; the number of shards that moved."""
    async with connected(citus.socket_url(database)) as sql:
        await sql.execute("SELECT citus_rebalance_start()")
        async with asyncio.timeout(300):
            while await sql.fetchval(MOVES):
                await asyncio.sleep(0.2)
        rows = await sql.fetch("SELECT state, details::text FROM citus_rebalance_status()")
        assert {row["state"] for row in rows} == {"finished"}, rows
        moved: int = await sql.fetchval("SELECT count(*) FROM pg_dist_background_task WHERE status = 'done'")
        return moved


async def _holders(citus: Cluster, database: str) -> set[int]:
    async with connected(citus.socket_url(database)) as sql:
        rows = await sql.fetch(
            "SELECT DISTINCT nodeport FROM citus_shards WHERE table_name = 'sms_data.message'::regclass"
        )
    return {row["nodeport"] for row in rows}
