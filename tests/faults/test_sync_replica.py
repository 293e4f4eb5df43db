"""With RECEIVER_REQUIRE_SYNC_REPLICA nothing counts as stored that no second machine has, whatever PostgreSQL says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from support import pair as pairs
from support import process
from support.asking import metric, send
from support.cluster import APPLICATION, Cluster
from support.databases import connected
from support.pair import Pair
from support.preloaded import Commands
from support.reports import NOON, job, report
from support.waiting import eventually

from receiver.store import postgres
from receiver.store.postgres import Database, Session

TIMEOUT_S = 10.0
GRANT = f"GRANT pg_read_all_stats TO {APPLICATION}"
_WAITING = f"SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = '{APPLICATION}'"


@pytest.fixture(scope="module")
async def both(open_folder: Path) -> AsyncIterator[Pair]:
    async with pairs.running(open_folder / "sync_replica") as pair:
        await pair.primary.administrate(GRANT)
        yield pair


@pytest.fixture
async def pair(both: Pair) -> AsyncIterator[Pair]:
    """Commits wait for the standby; whatever a test does to it is healed afterwards."""
    await both.synchronous()
    yield both
    both.standby.resume()
    if not both.standby.alive:
        await both.standby.start()


@pytest.fixture
async def name(pair: Pair) -> str:
    name = await pair.primary.new_database()
    async with connected(pair.primary.socket_url(name)) as sql:
        await postgres.create_partitions(Session(sql), [job(received_at=NOON)])
    await eventually(lambda: is_there(pair.standby, name))  # on its disk it is before it can be seen
    return name


async def is_there(standby: Cluster, name: str) -> bool:
    async with connected(standby.socket_url("postgres")) as sql:
        return bool(await sql.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name))


def database(pair: Pair, name: str, *, needs_replica: bool = True) -> Database:
    connect = partial(postgres.connect, needs_replica=needs_replica)
    return Database(pair.url(name), TIMEOUT_S, connect)


async def write(to: Database, message: str) -> set[str]:
    (receipt,) = await to.write([job(report(message_id=message))], connect_timeout_s=TIMEOUT_S)
    return set(receipt.stored)


async def waits(pair: Pair) -> int:
    """The process of the commit that waits for the standby."""
    async with connected(pair.primary.socket_url("postgres")) as sql:
        await eventually(lambda: sql.fetchval(_WAITING))
        return int(await sql.fetchval(_WAITING))


async def emptied_before(pair: Pair, _written: "asyncio.Task[set[str]]") -> None:
    """A failover manager has lost the standby: a commit waits for nobody."""


async def emptied_meanwhile(pair: Pair, _written: "asyncio.Task[set[str]]") -> None:
    await waits(pair)
    await pair.synchronous(wanted=False)


async def cancelled(pair: Pair, _written: "asyncio.Task[set[str]]") -> None:
    """PostgreSQL says: WARNING, the transaction has already committed locally, but might not have been replicated."""
    await pair.primary.administrate(f"SELECT pg_cancel_backend({await waits(pair)})")


WAYS: dict[str, Callable[[Pair, "asyncio.Task[set[str]]"], Awaitable[None]]] = {
    "names emptied before": emptied_before,
    "names emptied while it waits": emptied_meanwhile,
    "the wait cancelled": cancelled,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("needs_replica", [True, False])
async def test_a_commit_that_waited_for_nobody_is_none(pair: Pair, name: str, way: str, *, needs_replica: bool) -> None:
    """Without the setting PostgreSQL says of each that all is well."""
    to = database(pair, name, needs_replica=needs_replica)
    await write(to, "before")
    pair.standby.pause()
    if way == "names emptied before":
        await pair.synchronous(wanted=False)
    written = asyncio.create_task(write(to, "lone"))
    await WAYS[way](pair, written)
    if not needs_replica:
        assert await written
        to.drop()
        return
    with pytest.raises((asyncpg.ObjectNotInPrerequisiteStateError, TimeoutError)):
        await written
    pair.standby.resume()
    await pair.synchronous()
    assert await write(to, "lone") == set(), "it is there already, and a second machine has it now"
    await has_it(pair, name, "lone")
    to.drop()


async def has_it(pair: Pair, name: str, message: str) -> None:
    """Whether the standby shows it, which it may a moment later than it has it on its disk."""
    query = "SELECT count(*) = 1 FROM sms.delivery_report WHERE message_id = $1"
    async with connected(pair.standby.url(name)) as sql:
        await eventually(lambda: sql.fetchval(query, message))


async def test_a_login_that_may_not_see_the_standbys_is_told_what_to_grant(pair: Pair, name: str) -> None:
    await pair.primary.administrate(GRANT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    try:
        to = database(pair, name)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="GRANT pg_read_all_stats TO sms_writer"):
            await write(to, "unseen")
        to.drop()
    finally:
        await pair.primary.administrate(GRANT)


async def test_the_check_says_on_how_many_machines_a_commit_is(
    pair: Pair, name: str, commands: Commands, tmp_path: Path
) -> None:
    given = {"database_url": pair.url(name), "require_sync_replica": True, "data_dir": tmp_path}
    said = (await commands.run("check", **given)).out
    assert "a commit is on a second machine: node_" in said
    for node, is_ in ((pair.primary, "the primary"), (pair.standby, "a standby")):
        assert f"127.0.0.1:{node.port} is {is_}" in said
    await pair.synchronous(wanted=False)
    assert (
        "synchronous_standby_names is empty: every report goes to the spool"
        in (await commands.run("check", **given)).out
    )


async def test_a_service_spools_while_there_is_no_second_machine_and_says_so(
    pair: Pair, name: str, tmp_path: Path
) -> None:
    async with process.running(tmp_path, database_url=pair.url(name), require_sync_replica=True) as service:
        await service.until(lambda answer: answer["sync_replica"] is True and answer["database"])
        await send(service, "two-machines")
        await has_it(pair, name, "two-machines")
        pair.standby.kill()
        await pair.synchronous(wanted=False)
        await send(service, "one-machine")
        await service.until(lambda answer: answer["sync_replica"] is False and not answer["database"])
        assert await metric(service, "receiver_sync_replica") == 0
        await service.spooling()
        await service.told("no synchronous standby has what is committed here")
        await pair.standby.start()
        await pair.synchronous()
        await service.drained()
        await service.until(lambda answer: answer["sync_replica"] is True)
        await has_it(pair, name, "one-machine")
        assert not service.noise(), service.noise()
