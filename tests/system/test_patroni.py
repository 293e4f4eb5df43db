"""Three PostgreSQL machines under Patroni lose their primary, their etcd or their network: no report is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from support import debian, etcd, netns
from support import failover as failovers
from support import patroni as patronis
from support import rig as rigs
from support.cluster import free_port
from support.etcd import Etcd
from support.failover import Evidence
from support.netns import Network
from support.patroni import Node, Patroni
from support.rig import Rig

from receiver.embedded.account import account_for
from receiver.embedded.binaries import usable_binaries
from receiver.embedded.layout import SUPERUSER

MACHINES = ("db1", "db2", "db3")
ETCD = "etcd1"
LOOPBACK = {name: f"127.0.0.{number}" for number, name in enumerate((*MACHINES, ETCD), 2)}
"""Not 127.0.0.1, which Patroni takes for no machine's address."""


class Programs(NamedTuple):
    """How to call them."""

    patroni: list[str | Path]
    etcd: list[str]
    postgresql: Path


@pytest.fixture(scope="module")
async def programs(program: Callable[..., list[str]], open_folder: Path) -> Programs:
    """All fetched before the network is entered, from which nothing can be."""
    account = account_for(open_folder / "none")
    try:
        patroni = patronis.command(account)
    except debian.NotAvailableError as error:
        pytest.skip(str(error))
    return Programs(patroni, program("etcd", *etcd.PACKAGES), await usable_binaries(open_folder, account))


@pytest.fixture(scope="module")
async def network(programs: Programs) -> AsyncIterator[Network | str]:
    """Namespaces, entered; or why there are none, as without root: then all machines are on the loopback."""
    assert programs, "fetched before"
    with ExitStack() as stack:
        try:
            ip = debian.command("ip", "iproute2", *debian.missing_packages("iproute2"))
            made = stack.enter_context(netns.made(ip, (*MACHINES, ETCD)))
        except (netns.NoNamespacesError, debian.NotAvailableError) as error:
            yield str(error)
            return
        stack.enter_context(made.entered())
        # A thread stays where it was started: none of before serves in here, and none of here afterwards.
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        try:
            yield made
        finally:
            loop.set_default_executor(ThreadPoolExecutor(2))


@pytest.fixture
def cuttable(network: Network | str) -> Network:
    if isinstance(network, str):
        pytest.skip(network)
    return network


@pytest.fixture(scope="module")
async def patroni(programs: Programs, network: Network | str, open_folder: Path) -> AsyncIterator[Patroni]:
    net = network if isinstance(network, Network) else None
    folder = open_folder / "patroni"
    folder.mkdir()
    folder.chmod(0o711)
    account = account_for(folder / "none")
    addresses = net.addresses if net else LOOPBACK
    nodes = [
        Node(name, addresses[name], (5432, 8008) if net else (free_port(), free_port()), folder / name, net)
        for name in MACHINES
    ]
    kept = Etcd(programs.etcd, folder / ETCD, account, addresses[ETCD], 2379 if net else free_port())
    made = Patroni(nodes, kept, account, net)
    try:
        await made.start(programs.patroni, programs.postgresql)
        yield made
    finally:
        made.kill()


Fault = Callable[[Patroni, Node], Awaitable[None]]


async def switchover(patroni: Patroni, _: Node) -> None:
    patroni.order("switchover", "--force")


async def postgresql_killed(_: Patroni, leader: Node) -> None:
    leader.kill_postgresql()


async def all_killed(patroni: Patroni, leader: Node) -> None:
    """And Patroni started again, as by systemd."""
    leader.kill()
    patroni.restart(leader)


async def machine_lost(patroni: Patroni, leader: Node) -> None:
    patroni.lose(leader)


async def machine_lost_and_fenced(patroni: Patroni, leader: Node) -> None:
    """Its key is removed by an operator who knows that it is off."""
    patroni.lose(leader)
    await patroni.etcd.forget("/service/sms/leader")


SWIFT: tuple[Fault, ...] = (switchover, postgresql_killed, machine_lost_and_fenced)
SLOW: tuple[Fault, ...] = (all_killed, machine_lost)
"""Here Patroni has to start first, or to wait for its lease."""


@asynccontextmanager
async def serving(patroni: Patroni, folder: Path, say: Callable[[str], None], **settings: object) -> AsyncIterator[Rig]:
    """A service under load, with a database of its own."""
    database = await patroni.new_database()
    options = {"database_url": patroni.url(database), "rate": 40, "say": say} | settings
    async with rigs.serving(None, folder, database, **options) as rig:
        yield rig


@pytest.fixture
async def rig(patroni: Patroni, open_folder: Path, say: Callable[[str], None]) -> AsyncIterator[Rig]:
    """A service before a cluster that may lose its primary."""
    await patroni.healthy()
    async with serving(patroni, open_folder, say) as rig:
        yield rig


async def fail_over(patroni: Patroni, rig: Rig, fault: Fault) -> None:
    """Until another machine is the primary, and the service stores reports on it."""
    leader = await patroni.leader()
    with rig.phase(fault.__name__.replace("_", " ")):
        await fault(patroni, leader)
        await patroni.another_leads(leader)
        await stores_again(rig)


async def stores_again(rig: Rig) -> None:
    await rig.service.until(lambda answer: answer["database"], 60)
    await rig.load.answered(30)


async def spools(rig: Rig) -> bool:
    answer = await rig.service.readiness()
    return answer is not None and not answer["database"]


async def check(patroni: Patroni, rig: Rig) -> Evidence:
    """Nobody was sent away, nothing lost, nothing twice."""
    leader = await patroni.leader()
    evidence = await failovers.settled(leader.url(rig.database, SUPERUSER), rig)
    failovers.nothing_lost(evidence, rig)
    return evidence


async def test_reports_wait_less_than_ten_seconds(patroni: Patroni, rig: Rig) -> None:
    for fault in SWIFT:
        await patroni.healthy(standbys=2)
        await fail_over(patroni, rig, fault)
        patroni.bring_back_all()
    assert (await check(patroni, rig)).longest() < failovers.SPOOLED_S


async def test_a_machine_is_lost(patroni: Patroni, rig: Rig) -> None:
    for fault in SLOW:
        await patroni.healthy()
        await fail_over(patroni, rig, fault)
        patroni.bring_back_all()
    await check(patroni, rig)


async def test_etcd_is_lost(patroni: Patroni, rig: Rig) -> None:
    """With failsafe_mode nobody notices; without it no machine may be the primary, and reports are spooled."""
    await patroni.healthy(standbys=2)  # failsafe_mode counts on every member that etcd knew
    with rig.phase("etcd killed, failsafe_mode"):
        patroni.etcd.kill()
        await asyncio.sleep(10)  # longer than loop_wait and retry_timeout together
        await stores_again(rig)
        await patroni.start_etcd()
    patroni.configure(failsafe_mode=False)
    try:
        with rig.phase("etcd killed"):
            patroni.etcd.kill()
            await rig.service.until(lambda answer: not answer["database"])
            await rig.load.answered(30)
        with rig.phase("etcd back"):
            await patroni.start_etcd()
            await stores_again(rig)
    finally:
        patroni.configure(failsafe_mode=True)
    await check(patroni, rig)


async def test_the_primary_is_cut_off_from_the_others_but_not_from_the_receiver(
    cuttable: Network, patroni: Patroni, rig: Rig
) -> None:
    async def cut(_: Patroni, leader: Node) -> None:
        cuttable.isolate(leader.name)

    leader = await patroni.leader()
    await fail_over(patroni, rig, cut)
    with rig.phase("network back"):
        cuttable.join(leader.name)
        await patroni.healthy(standbys=2)
    await check(patroni, rig)


async def test_patroni_is_killed_and_its_postgresql_goes_on(patroni: Patroni, rig: Rig) -> None:
    """Without a watchdog: the old primary takes connections beside the new one, and nobody confirms what it writes."""
    leader = await patroni.leader()

    async def patroni_killed(_: Patroni, old: Node) -> None:
        old.kill_patroni()

    await fail_over(patroni, rig, patroni_killed)
    patroni.restart(leader)
    await check(patroni, rig)
    await patroni.healthy(standbys=2)


async def test_pause(patroni: Patroni, rig: Rig) -> None:
    """Nobody takes the place of a primary that ends meanwhile; reports wait for the end of the pause."""
    leader = await patroni.leader()
    patroni.order("pause", "--wait")
    with rig.phase("PostgreSQL killed in a pause"):
        leader.kill_postgresql()
        await rig.service.until(lambda answer: not answer["database"])
        await asyncio.sleep(5)  # longer than loop_wait
        assert await spools(rig)
    with rig.phase("resumed"):
        patroni.order("resume", "--wait")
        await stores_again(rig)
    await check(patroni, rig)


async def test_standbys_are_cut_off(
    cuttable: Network, patroni: Patroni, rig: Rig, open_folder: Path, say: Callable[[str], None]
) -> None:
    """One machine is enough then, unless the receiver asks for two, or synchronous_mode_strict."""
    leader = await patroni.leader()
    standbys = [name for name in patroni.nodes if name != leader.name]
    async with serving(patroni, open_folder, say, rate=15, require_sync_replica=True) as careful:
        with careful.phase("a replica is required"):
            with rig.phase("standbys cut off"):
                for name in standbys:
                    cuttable.isolate(name)
                await rig.service.until(lambda answer: not answer["database"])
                await stores_again(rig)
            await careful.service.until(lambda answer: not answer["database"])
            with rig.phase("synchronous_mode_strict"):
                patroni.configure(synchronous_mode_strict=True)
                await rig.service.until(lambda answer: not answer["database"])
                await rig.load.answered(30)
            with rig.phase("standbys back"):
                for name in standbys:
                    cuttable.join(name)
                await stores_again(rig)
        patroni.configure(synchronous_mode_strict=False)
        await check(patroni, rig)
        await check(patroni, careful)
