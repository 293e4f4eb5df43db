"""An old primary that goes on taking writes after another was promoted: the service leaves it, and never comes back."""

import asyncio
from pathlib import Path

import pytest
from support import process
from support.asking import metric, send
from support.cluster import APPLICATION
from support.databases import connected
from support.faults import READ_ONLY, READ_WRITE
from support.process import ServiceProcess
from support.remembering import remembered
from support.two_hosts import Pair
from support.waiting import eventually
from support.writers import of as of_message
from support.writers import writing

from receiver.reading.reader import opened
from receiver.settings import Settings
from receiver.store import standing
from receiver.store.host_watch import _EVERY_S
from receiver.store.timelines import FILE_NAME, Timelines


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_service_that_is_connected_to_the_old_primary_goes_over(
    pair: Pair, tmp_path: Path, workers: int
) -> None:
    """Nothing fails on the old one: without a look at the others nobody would ever know. With the service's rights.

    Of several workers one process looks, and the others learn of it by the file.
    """
    async with process.running(tmp_path, database_url=pair.url(), workers=workers) as service:
        await send(service, f"before-{workers}")
        assert f"before-{workers}" in await pair.stored(pair.first)
        await pair.second.administrate("SELECT pg_promote()")
        await service.told("database.stale_primary")
        await eventually(lambda: remembered(tmp_path / "data", pair.second))
        await asyncio.sleep(4 * _EVERY_S * (workers - 1))  # so often the others look into the file
        for number in range(4 * workers):
            await send(service, f"after-{workers}-{number}")
        await service.drained()
        after = {f"after-{workers}-{number}" for number in range(4 * workers)}
        assert await pair.stored(pair.second) >= {f"before-{workers}", *after}
        assert not after & await pair.stored(pair.first)
        await eventually(lambda: metric_is(service, 1))
        await pair.first.stop()
        await service.told("database.stale_primary_gone")
        await eventually(lambda: metric_is(service, 0))
        assert not service.noise(), service.noise()


async def test_people_are_shown_the_promoted_one_too(pair: Pair) -> None:
    """The connections of the pages outlive the promotion."""
    known = Timelines()
    async with opened(Settings(_env_file=None, database_url=pair.url()), pair.url(), is_old=known.is_old) as reader:
        port = "SELECT current_setting('port')::int"
        assert await reader.fetchval(port) == pair.first.port
        await pair.second.administrate("SELECT pg_promote()")
        async with connected(pair.second.url(pair.database)) as sql:
            known.judge("", await standing.ask(sql))
        assert await reader.fetchval(port) == pair.second.port


async def test_a_server_that_does_not_tell_its_timeline_is_written_to_all_the_same(pair: Pair) -> None:
    """As managed services are that keep some of PostgreSQL's functions to themselves."""
    of = "EXECUTE ON FUNCTION pg_control_system()"
    await pair.first.administrate(f"REVOKE {of} FROM PUBLIC", database=pair.database)
    try:
        async with writing(pair.first.url(pair.database, user=APPLICATION)) as writer:
            await writer.write(of_message("hidden"))
        async with writing(pair.url()) as writer:
            await writer.write(of_message("hidden-too"))
    finally:
        await pair.first.administrate(f"GRANT {of} TO PUBLIC", database=pair.database)
    assert await pair.stored(pair.first) >= {"hidden", "hidden-too"}


async def test_it_is_not_written_to_after_a_restart_either_unless_an_operator_says_so(
    pair: Pair, tmp_path: Path
) -> None:
    """Only the old one answers then, by a URL of one host: nothing but the memory tells what it is."""
    url = pair.first.url(pair.database, user=APPLICATION)
    async with process.running(tmp_path, database_url=pair.url()) as service:
        await pair.second.administrate("SELECT pg_promote()")
        await service.told("database.stale_primary")
        await eventually(lambda: remembered(tmp_path / "data", pair.second))
        await service.kill()
        pair.second.kill()
        service.set(database_url=url)
        await service.start()
        await send(service, "in-the-spool")
        await service.told("database.unavailable")
        await service.spooling()
        assert "in-the-spool" not in await pair.stored(pair.first)
        (tmp_path / "data" / FILE_NAME).unlink()
        await service.drained()
        assert "in-the-spool" in await pair.stored(pair.first)
        assert not service.noise(), service.noise()


async def test_one_that_comes_back_read_only_is_no_danger(pair: Pair, tmp_path: Path) -> None:
    async with process.running(tmp_path, database_url=pair.url()) as service:
        await pair.fail_over()
        await eventually(lambda: remembered(tmp_path / "data", pair.second))
        await pair.first.start()
        await pair.first.administrate(*READ_ONLY)
        await eventually(lambda: metric_is(service, 0))
        await send(service, "later")
        await service.drained()
        assert "later" in await pair.stored(pair.second)
        await pair.first.administrate(*READ_WRITE)
        await eventually(lambda: metric_is(service, 1))


async def metric_is(service: ServiceProcess, expected: float) -> bool:
    return await metric(service, "receiver_stale_primaries") == expected
