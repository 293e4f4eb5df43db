"""An old primary that goes on taking writes after another was promoted: the service leaves it, and never comes back."""

from pathlib import Path

from support import process
from support.asking import metric, send
from support.cluster import APPLICATION
from support.faults import READ_ONLY, READ_WRITE
from support.process import ServiceProcess
from support.two_hosts import Pair
from support.waiting import eventually

from receiver.store.timelines import FILE_NAME


async def test_a_service_that_is_connected_to_the_old_primary_goes_over(pair: Pair, tmp_path: Path) -> None:
    """Nothing fails on the old one: without a look at the others nobody would ever know. With the service's rights."""
    async with process.running(tmp_path, database_url=pair.url()) as service:
        await send(service, "before")
        assert "before" in await pair.stored(pair.first)
        await pair.second.administrate("SELECT pg_promote()")
        await service.told("database.stale_primary")
        await send(service, "after")
        await service.drained()
        assert await pair.stored(pair.second) >= {"before", "after"}
        assert "after" not in await pair.stored(pair.first)
        assert await metric(service, "receiver_stale_primaries") == 1
        await pair.first.stop()
        await service.told("database.stale_primary_gone")
        assert await metric(service, "receiver_stale_primaries") == 0
        assert not service.noise(), service.noise()


async def test_it_is_not_written_to_after_a_restart_either_unless_an_operator_says_so(
    pair: Pair, tmp_path: Path
) -> None:
    """Only the old one answers then, by a URL of one host: nothing but the memory tells what it is."""
    url = pair.first.url(pair.database, user=APPLICATION)
    async with process.running(tmp_path, database_url=pair.url()) as service:
        await pair.second.administrate("SELECT pg_promote()")
        await service.told("database.stale_primary")
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
    await pair.second.start()


async def test_one_that_comes_back_read_only_is_no_danger(pair: Pair, tmp_path: Path) -> None:
    async with process.running(tmp_path, database_url=pair.url()) as service:
        await pair.fail_over()
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
