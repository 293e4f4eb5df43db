"""Several processes: a worker or the supervisor is killed, workers are replaced or fewer, and nothing is lost."""

import asyncio
import json
import random
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families
from support import ledger as ledgers
from support import process
from support.cluster import APPLICATION, Cluster
from support.faults import FAULTS
from support.rig import STARTING_S, Load, Rig
from support.waiting import eventually

from receiver import embedded
from receiver.embedded.layout import layout_of
from receiver.embedded.processes import processes_of

Loaded = Callable[..., AbstractAsyncContextManager[Rig]]


async def reports_counted(service: process.ServiceProcess) -> float:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{service.ops_port}/metrics") as answer,
    ):
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    return sum(sample.value for sample in families["receiver_reports"].samples)


async def test_workers_are_killed_at_random_moments_while_postgresql_restarts(loaded: Loaded) -> None:
    dice = random.Random(7)
    async with loaded(rate=300, workers=2) as rig:
        counted = 0.0
        for is_replacing in (False, True, False, True):
            with rig.phase("kill -9 of a worker" + " during a replacement" * is_replacing):
                if is_replacing:
                    psutil.Process(rig.service.pid).send_signal(signal.SIGUSR2)
                    await asyncio.sleep(dice.uniform(0, 2))
                with suppress(psutil.NoSuchProcess):  # a replacement may just have ended it
                    dice.choice(rig.service.workers()).kill()
                await asyncio.sleep(dice.uniform(0, 0.5))
                assert counted <= (counted := await reports_counted(rig.service))
                await rig.load.answered(50)
        with rig.phase("kill -9 of both while spooling"):
            await rig.proxy.set("cut")
            await rig.service.spooling(50)
            for worker in rig.service.workers():
                worker.kill()
            await rig.load.answered(50)
            await rig.proxy.set("pass")
        await rig.through("postgresql restarted", FAULTS["postgresql restarted"](rig), 1.0)
        ledger = await rig.check(within_s=STARTING_S)
        assert ledger.outcomes()["failed"] == 0, ledger.statuses()
        torn = [line for line in rig.service.output if line and not is_json(line)]
        assert not torn


async def test_no_request_is_lost_while_all_workers_are_replaced(loaded: Loaded) -> None:
    async with loaded(rate=300, workers=2) as rig:
        fresh = Load(rig.service.url, rig.load._file.with_suffix(".fresh"), rate=100, connections=8, fresh=True)
        before = {worker.pid for worker in rig.service.workers()}
        try:
            for _ in range(2):
                with rig.phase("replacement"):
                    await rig.service.replace_workers()
                    await rig.load.answered(50)
            assert {worker.pid for worker in rig.service.workers()}.isdisjoint(before)
            assert set((await fresh.stop()).outcomes()) == {"ok"}
        finally:
            fresh.kill()
        other = fresh.ledger()
        ledger = await rig.load.stop()
        assert set(ledger.outcomes()) == {"ok"}, ledger.statuses()
        await rig.service.drained()
        stored = await ledgers.stored(rig.cluster.socket_url(rig.database))
        assert ledgers.judge(ledgers.both(ledger, other), stored).good
        assert await reports_counted(rig.service) == len(stored)  # also those of the replaced workers
        assert await rig.service.terminate() == 0


def has_ended(worker: psutil.Process) -> bool:
    """Its lock is free then, but init may take a while to ask for its exit code."""
    try:
        return not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_kill_9_of_the_supervisor_leaves_nothing_running_and_fewer_workers_drain_all(loaded: Loaded) -> None:
    async with loaded(rate=300, workers=3) as rig:
        with rig.phase("kill -9 of the supervisor in normal running"):
            workers = rig.service.workers()
            await rig.service.kill()
            await rig.service.start()
            assert all(has_ended(worker) for worker in workers)
            await rig.load.answered(50)
        with rig.phase("kill -9 of the supervisor while its workers start"):
            for worker in rig.service.workers():
                worker.kill()
            await rig.service.told("worker.died")
            await rig.service.kill()
            await rig.service.start()  # they hold the port, and have no spool yet that would be locked
            await rig.load.answered(50)
        await rig.proxy.set("cut")
        await rig.service.spooling(100)
        for count in (2, 1):
            with rig.phase(f"kill -9 of the supervisor while spooling, then {count}"):
                workers = rig.service.workers()
                await rig.service.kill()
                await eventually(lambda: not any(worker.is_running() for worker in workers))  # noqa: B023
                rig.service.set(workers=count)
                await rig.service.start()
                await rig.load.answered(50)
        await rig.proxy.set("pass")
        await rig.check(within_s=STARTING_S)


async def test_kill_9_of_the_supervisor_ends_the_embedded_postgresql(
    open_folder: Path, say: Callable[[str], None]
) -> None:
    folder = open_folder / "embedded-workers"
    async with process.running(folder, workers=2) as service:
        load = Load(service.url, open_folder / "embedded-workers.ledger", rate=150, connections=16)
        try:
            await load.answered(100)
            workers = service.workers()
            await service.kill()
            await eventually(lambda: not any(worker.is_running() for worker in workers))
            await eventually(lambda: not processes_of(layout_of(folder / "data").pgdata))
            await service.start()
            await load.answered(100)
            ledger = await load.stop()
        finally:
            load.kill()
        await service.drained()
        verdict = ledgers.judge(ledger, await ledgers.stored(embedded.database_url(folder / "data")))
        say(ledgers.show("embedded, kill -9 of the supervisor", ledger, verdict))
        assert verdict.good, verdict
        assert ledger.percentiles()["max"] < STARTING_S
        assert await service.terminate() == 0
        assert not service.noise(), service.noise()


async def test_a_worker_that_does_not_start_stops_the_start_with_its_reason(
    fragile: Cluster, open_folder: Path
) -> None:
    """And nothing is left running."""
    service = process.ServiceProcess(
        open_folder / "behind", workers=2, database_url=fragile.url("postgres", user=APPLICATION)
    )
    service.launch()
    assert await asyncio.to_thread(service._process.wait, 30) == 1
    await eventually(lambda: any("receiver migrate" in line for line in service.output))
    assert not [one for one in psutil.process_iter() if is_there(one, open_folder)]


def is_there(one: psutil.Process, folder: Path) -> bool:
    """Whether it is a worker of a service in that folder; processes of others come and go meanwhile."""
    try:
        return process.is_worker(one) and str(folder) in one.cwd()
    except psutil.Error:
        return False


def is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
