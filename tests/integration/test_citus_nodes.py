"""The tests' own Citus: copies of a database know the same nodes, and a worker comes back after a kill."""

import pytest
from support.citus import Citus, connected
from support.databases import connected as connected_to

_EVEN = "INSERT INTO known SELECT i::text FROM generate_series(1, 100) AS i"


async def _fill(url: str) -> None:
    async with connected_to(url) as sql:
        await sql.execute("CREATE TABLE known (id text PRIMARY KEY)")
        await sql.execute("SELECT create_distributed_table('known', 'id')")
        await sql.execute(_EVEN)


@pytest.fixture(scope="module")
async def numbers(citus: Citus) -> str:
    """A database with a distributed table."""
    name = await citus.empty_database("numbers")
    await _fill(citus.socket_url(name))
    return name


async def test_rows_are_on_every_worker_and_back_after_a_kill(citus: Citus, numbers: str) -> None:
    async with connected(citus, numbers) as sql:
        nodes = await sql.fetch("SELECT DISTINCT nodeport FROM citus_shards")
        assert {row["nodeport"] for row in nodes} == {worker.port for worker in citus.workers}
        citus.workers[0].kill()
        await citus.workers[0].start()
        assert await sql.fetchval("SELECT count(*) FROM known") == 100


async def test_a_copy_of_a_database_has_shards_of_its_own(citus: Citus) -> None:
    await citus.make_distributed_template(_fill, "template_numbers")
    one, other = [await citus.new_database("template_numbers") for _ in range(2)]
    async with connected(citus, one) as sql:
        await sql.execute("DELETE FROM known")
    async with connected(citus, other) as sql:
        assert await sql.fetchval("SELECT count(*) FROM known") == 100
    await citus.drop_database(one)
