"""The service itself is killed, stopped or restarted under load: what it acknowledged is stored, once."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from support import ledger as ledgers
from support import process
from support.cluster import APPLICATION, Cluster
from support.faults import FAULTS
from support.rig import NO_HANG_S, Load, Loaded

from receiver import embedded
from receiver.embedded.layout import layout_of
from receiver.embedded.processes import processes_of


async def test_kill_9_in_normal_running_while_spooling_and_while_draining(loaded: Loaded) -> None:
    async with loaded(rate=300) as rig:
        with rig.phase("kill -9 in normal running"):
            await rig.service.kill()
            await rig.service.start()
            await rig.load.answered(50)
        with rig.phase("kill -9 while spooling"):
            await rig.proxy.set("cut")
            await rig.service.spooling(50)
            await rig.service.kill()
            await rig.service.start()  # which finds no PostgreSQL, and goes on spooling
            await rig.service.spooling(1_500)  # several batches of the drain
        with rig.phase("kill -9 while draining"):
            rig.proxy.delay_s = 0.05  # a batch takes half a second, so that the kill comes between two
            before = (await rig.service.readiness() or {})["spool"]["callbacks"]
            await rig.proxy.set("delay")
            await rig.service.until(lambda answer: 0 < answer["spool"]["callbacks"] < before)
            await rig.service.kill()
            await rig.proxy.set("pass")
            await rig.service.start()
            await rig.load.answered(50)
        await rig.check()


async def test_sigterm_under_load_and_while_postgresql_hangs(loaded: Loaded) -> None:
    async with loaded() as rig:
        with rig.phase("SIGTERM and start"):
            assert await rig.service.terminate() == 0
            await rig.service.start()
            await rig.load.answered(50)
        async with FAULTS["postgresql paused"](rig):
            with rig.phase("SIGTERM into a hung PostgreSQL's time-out"):
                assert await rig.service.terminate() == 0
        await rig.service.start()
        await rig.load.answered(50)
        await rig.check()


async def test_the_embedded_postgresql_dies_and_then_the_service_with_it(
    open_folder: Path, say: Callable[[str], None]
) -> None:
    folder = open_folder / "embedded"
    async with process.running(folder) as service:
        pgdata = layout_of(folder / "data").pgdata
        with Load(service.url, open_folder / "embedded.ledger", rate=150, connections=16) as load:
            await load.answered(100)
            for server in processes_of(pgdata):
                server.kill()
            await load.answered(100)
            await service.until(lambda answer: answer["database"])
            await service.kill()  # and leaves its PostgreSQL behind
            await service.start()
            await load.answered(100)
            ledger = await load.stop()
        await service.drained()
        rows = await ledgers.stored(embedded.database_url(folder / "data"))
        verdict = ledgers.judge(ledger, rows)
        say(ledgers.show("embedded, kill -9 of both", ledger, verdict))
        assert verdict.good, verdict
        assert ledger.percentiles()["max"] < NO_HANG_S
        assert await service.terminate() == 0
        assert not processes_of(pgdata)
        assert not service.noise(), service.noise()


async def test_two_instances_on_one_port_restarted_one_after_the_other(
    fragile: Cluster, open_folder: Path, say: Callable[[str], None]
) -> None:
    database = await fragile.new_database()
    shared = {"database_url": fragile.url(database, user=APPLICATION), "reuse_port": True}
    async with (
        process.running(open_folder / f"{database}-1", **shared) as first,
        process.running(open_folder / f"{database}-2", port=first.port, **shared) as second,
    ):
        with (
            Load(first.url, open_folder / f"{database}-kept", rate=150, connections=16) as kept,
            Load(first.url, open_folder / f"{database}-fresh", rate=150, connections=16, fresh=True) as fresh,
        ):
            for service in (first, second):
                await asyncio.gather(kept.answered(50), fresh.answered(50))
                assert await service.terminate() == 0
                await asyncio.gather(kept.answered(50), fresh.answered(50))
                await service.start()
            ledgers_of = {"connections kept": await kept.stop(), "a connection a request": await fresh.stop()}
        await asyncio.gather(first.drained(), second.drained())
        rows = await ledgers.stored(fragile.socket_url(database))
        both = ledgers.both(*ledgers_of.values())
        for name, ledger in ledgers_of.items():
            say(ledgers.show(f"restarts, {name}", ledger, ledgers.judge(ledger, rows, both)))
            # What the kernel had already queued at a socket that closes is reset: a handful.
            assert sum(attempt.outcome != "ok" for attempt in ledger.attempts.values()) <= 10, ledger.statuses()
        verdict = ledgers.judge(both, rows)
        assert verdict.good, verdict
        assert not first.noise() + second.noise()
