"""A server below a promotion that was seen is changed by no command, by no page and through no pooler."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from support import service as services
from support.checking import checking
from support.databases import connected
from support.preloaded import Commands
from support.visitor import visiting
from support.waiting import eventually
from support.writers import of as of_message
from support.writers import writing

from receiver.store import standing, timelines
from receiver.store.connecting import Connection
from receiver.store.standing import Standing
from receiver.store.writer import DatabaseUnavailable

WITHOUT_END = 9
OLD = "an old primary"
COMMANDS = {
    "replay": ("rejected", "replay"),
    "purge": ("rejected", "purge", "--yes"),
    "maintain": ("maintain",),
    "migrate": ("migrate",),
}

INSERT = """
INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, content_type, body, remote_addr)
VALUES ($1, 'huawei', '/callback/huawei/report', now(), 'no JSON', 'text/plain', 'x', '192.0.2.7')
"""


async def promoted_elsewhere(sql: asyncpg.Connection, folder: Path) -> None:
    """What the service keeps of a server that was promoted in the place of this one."""
    system = await sql.fetchval("SELECT system_identifier::text FROM pg_control_system()")
    timelines.save(folder, {system: WITHOUT_END})


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_a_command_leaves_it_alone(
    command: tuple[str, ...], database: str, commands: Commands, tmp_path: Path
) -> None:
    async with connected(database) as sql:
        await sql.execute(INSERT, UUID(int=1))
        await promoted_elsewhere(sql, tmp_path)
        ended = await commands.run(*command, database_url=database, data_dir=tmp_path)
        assert (ended.code, OLD in ended.err) == (1, True), ended
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload WHERE replayed_at IS NULL") == 1


async def test_it_is_not_said_to_be_fit(database: str, commands: Commands, tmp_path: Path) -> None:
    """It is the primary that this machine reaches, and nothing else is wrong with it."""
    async with connected(database) as sql:
        await promoted_elsewhere(sql, tmp_path)
    found = checking(commands, tmp_path, database)
    assert OLD in (await found())("database", "error")


async def test_a_page_leaves_it_alone(make_settings) -> None:
    settings = make_settings()
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        await service.sql.execute(INSERT, UUID(int=1))
        csrf = (await browser.get("/rejected/purge")).csrf
        await promoted_elsewhere(service.sql, settings.data_dir)

        async def refused() -> bool:
            return OLD in (await browser.get("/rejected/purge")).text

        await eventually(refused)
        done = await browser.post("/rejected/purge", {"csrf": csrf})
        assert (done.status, OLD in done.text) == (503, True)
        assert await service.sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 1


async def test_a_session_stores_nothing_there_when_its_pooler_goes_back_to_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session begins with a server that was promoted; its next transaction is given to this one."""
    ask = standing.ask

    async def promoted(connection: Connection) -> Standing:
        found = await ask(connection)
        assert found.timeline is not None
        return replace(found, pid=0, timeline=found.timeline + 1)

    monkeypatch.setattr(standing, "ask", promoted)
    async with writing(database) as writer:
        with pytest.raises(DatabaseUnavailable):
            await writer.write(of_message("a"))
    async with connected(database) as sql:
        assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0
