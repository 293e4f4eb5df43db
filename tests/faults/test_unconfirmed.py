"""No standby confirms commits: none counts as one, however often it is tried, and no connections are used up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from support import pair as pairs
from support.databases import connected
from support.pair import Pair
from support.reports import NOON, PROVIDER, job, report, submission
from support.waiting import eventually

from receiver.report import Reply, content_id
from receiver.store import postgres
from receiver.store.job import Job
from receiver.store.maintenance.periodic import connected_to_commit
from receiver.store.postgres import Database, Session
from receiver.store.told import _Untold
from receiver.store.watching import Backend, watched
from receiver.store.writer import PROBE

PATIENCE_S = 4.0
WITHIN_S = 10.0
ATTEMPTS = 4

JOBS: dict[str, Job] = {
    "report": job(report(message_id="m-1")),
    "submission": job(submission(message_id="m-2")),
    "reply": job(replies=[Reply(provider=PROVIDER, reply_id=content_id("STOP"), body="STOP", raw="{}")]),
    "rejected_payload": job(error="nonsense"),
}
"""By their tables."""

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_HAS_WAITED = f"{_WAITING} AND query_start < clock_timestamp() - interval '{PATIENCE_S} s'"
"""It began a moment after the attempt of which it is left."""


@pytest.fixture(scope="module")
async def pair(open_folder: Path) -> AsyncIterator[Pair]:
    async with pairs.running(open_folder / "unconfirmed") as pair:
        yield pair


@pytest.fixture
async def name(pair: Pair) -> AsyncIterator[str]:
    """A database whose synchronous standby is away; it comes back afterwards."""
    name = await pair.primary.new_database()
    async with connected(pair.primary.socket_url(name)) as sql:
        await postgres.create_partitions(Session(sql), [job(received_at=NOON)])
    await pair.synchronous()
    pair.standby.kill()
    yield name
    if not pair.standby.alive:
        await pair.standby.start()
    await pair.synchronous(wanted=False)


async def refuses(database: Database, job: Job) -> None:
    """It may not say that the job is written."""
    with pytest.raises((TimeoutError, asyncpg.ObjectNotInPrerequisiteStateError)):
        await database.write([job], connect_timeout_s=WITHIN_S)


async def test_what_this_server_alone_has_is_not_given_for_stored(pair: Pair, name: str) -> None:
    """A restart ends the wait for the standby: the rows are there, and on no other machine."""
    tried = [(Database(pair.url(name), PATIENCE_S), job) for job in JOBS.values()]
    await asyncio.gather(*(refuses(database, job) for database, job in tried))
    pair.primary.kill()
    await pair.primary.start()
    async with connected(pair.primary.socket_url(name)) as sql:
        for table in (*JOBS, "message"):  # the first to read a row after a crash may write to its page
            assert await sql.fetchval(f"SELECT count(*) FROM sms_data.{table}")
    await asyncio.gather(*(refuses(database, job) for database, job in tried))
    for database, _ in tried:
        database.drop()


class Shown(_Untold):
    """What a terminal shows that work waits for."""

    shown = True

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


async def test_a_command_in_a_terminal_says_that_its_commit_waits_for_a_standby(pair: Pair, name: str) -> None:
    """It stood still without a word, for as long as there was none."""
    shown = Shown()
    url = pair.primary.url(name)
    async with (
        connected(url) as sql,
        watched(lambda: asyncpg.connect(url), Backend("committing", sql.get_server_pid()), shown),
    ):
        committing = asyncio.create_task(sql.execute("CREATE TABLE made_by_a_migration ()"))
        await eventually(lambda: any("waits for a synchronous standby" in note for note in shown.notes))
        await pair.standby.start()
        await committing
        await eventually(lambda: shown.notes[-1] == "")


async def test_attempts_while_no_standby_confirms_take_no_connections(pair: Pair, name: str) -> None:
    """A session that waits for a standby ends with the wait alone: each attempt would leave one behind."""
    database = Database(pair.url(name), PATIENCE_S)
    async with connected(pair.primary.socket_url(name)) as sql:
        for _ in range(ATTEMPTS):
            await refuses(database, PROBE)
            await eventually(lambda: sql.fetchval(_HAS_WAITED))
            with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
                async with connected_to_commit(pair.url(name)):
                    pass
        assert await sql.fetchval(_WAITING) == 1
    await pair.standby.start()
    await pair.follows()
    (receipt,) = await database.write([job(report())], connect_timeout_s=WITHIN_S)
    assert receipt.stored
    database.drop()
