"""Ctrl-C, at any moment: the command ends with 130, leaves nothing running behind it, and prints no traceback."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.command import CHECKOUT, DEADLINE_S, Ended, ended, started
from support.databases import connected
from support.waiting import eventually

from receiver import embedded
from receiver.embedded.layout import layout_of
from receiver.embedded.processes import processes_of

INTERRUPTED = 130
IMPORTS = (sys.executable, "-X", "importtime", "-m", "receiver")
"""Tells of every import on its standard error, when it is done."""

NOISE = ("Traceback", "KeyboardInterrupt", "Exception ignored", "never awaited", "Aborted")

MOMENTS = {
    "migrate": ("click.globals", "asyncpg", "uvloop"),
    "serve": ("phonenumbers", "prometheus_client"),
    "explain": ("click", "pydantic_core"),
}
"""A command, and modules behind whose import Ctrl-C comes."""


async def interrupted(process: Process) -> Ended:
    process.send_signal(signal.SIGINT)
    how = await ended(process)
    seen_by_a_shell = 128 - how.code if how.code < 0 else how.code
    assert seen_by_a_shell == INTERRUPTED, how
    assert [word for word in NOISE if word in how.err] == []
    return how


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port on which everything is accepted and nothing is answered, and whether anybody has come."""
    come = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], come


@pytest.mark.parametrize(("command", "module"), [(name, module) for name, all_ in MOMENTS.items() for module in all_])
async def test_while_modules_are_imported(open_folder: Path, command: str, module: str) -> None:
    arguments = ("DELIVRD",) if command == "explain" else ()
    process = await started(command, *arguments, folder=CHECKOUT, program=IMPORTS, data_dir=open_folder / "imports")
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        while line := await process.stderr.readline():
            if line.split()[-1].decode() == module:
                break
    assert line, "this module is not imported by this command any more"
    await interrupted(process)


@pytest.mark.parametrize("command", ["migrate", "rejected list", "simulate huawei"])
async def test_while_nobody_answers(tmp_path: Path, command: str) -> None:
    """Neither the database nor a receiver."""
    async with silence() as (port, come):
        url = ("--url", f"http://127.0.0.1:{port}") if command.startswith("simulate") else ()
        database_url = f"postgresql://sms@127.0.0.1:{port}/sms"
        process = await started(*command.split(), *url, folder=tmp_path, database_url=database_url)
        await asyncio.wait_for(come.wait(), DEADLINE_S)
        how = await interrupted(process)
        assert how.err == "" or url
        assert ("requests " in how.out) == bool(url)


async def test_while_the_embedded_database_is_made(open_folder: Path, tmp_path: Path) -> None:
    """Nobody else would stop it: it does not hear the terminal."""
    data_dir = open_folder / "interrupted"
    process = await started("migrate", folder=tmp_path, data_dir=data_dir)
    layout = layout_of(data_dir)
    await eventually(layout.log.exists)
    await interrupted(process)
    assert not embedded.in_use(data_dir)
    assert list(processes_of(layout.pgdata)) == []


async def test_at_a_question(database: str, tmp_path: Path) -> None:
    async with connected(database) as sql:
        await sql.execute("SELECT sms_data.create_partitions(now()::date)")
        await sql.execute(
            "INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, body)"
            " VALUES (gen_random_uuid(), 'huawei', '/callback/huawei/report', now(), 'an error', 'a body')"
        )
        process = await started("rejected", "purge", folder=tmp_path, stdin=PIPE, database_url=database)
        assert process.stderr is not None
        asked = await asyncio.wait_for(process.stderr.readuntil(b"[y/N]"), DEADLINE_S)
        assert b"Delete 1 payloads" in asked
        await interrupted(process)
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 1
