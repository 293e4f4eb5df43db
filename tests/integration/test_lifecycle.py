"""How a service ends, by whatever signal: in good order, with what was acknowledged stored, and nothing left running.

Real processes in real terminals, each with an embedded PostgreSQL of its own.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import trustme
from support import tencent_api
from support.certificates import issue
from support.command import receiver
from support.databases import connected
from support.dialects import good_body
from support.embedded import open_folder
from support.preloaded import Commands
from support.pulling import PullProcess, ids, stored
from support.tencent_api import Api, report
from support.terminal import CTRL_C, InTerminal
from support.waiting import eventually
from support.wire import head, wire

from receiver import embedded
from receiver.embedded.layout import layout_of
from receiver.embedded.processes import processes_of

COMMANDS = {"serve": ("serve",), "pull": ("pull", "tencent")}
Make = Callable[..., InTerminal]


@pytest.fixture(scope="module")
async def prepared(commands: Commands) -> AsyncIterator[Path]:
    """A data folder with the schema, to be copied: most of what a first start takes."""
    with open_folder() as folder:
        migrated = await commands.run("migrate", data_dir=folder / "data")
        assert migrated.code == 0, migrated
        yield folder / "data"


@pytest.fixture
def base() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def copied(prepared: Path, folder: Path) -> Path:
    """The data folder of a service whose folder this is; its files keep their owner."""
    folder.mkdir()
    subprocess.run(["cp", "--archive", prepared, folder], check=True)
    return folder / prepared.name


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with tencent_api.running() as running:
        yield running


@pytest.fixture
async def make(base: Path, prepared: Path, api: Api) -> AsyncIterator[Make]:
    """A command in a terminal of its own. It is gone after the test."""
    async with AsyncExitStack() as stack:

        def one(name: str, *, fresh: bool = False, **settings: object) -> InTerminal:
            if not fresh:
                copied(prepared, base / name)
            pulled = api.settings | {"database_timeout_s": 20} if name == "pull" else {}
            terminal = InTerminal(base / name, *COMMANDS[name], **(pulled | {"drain_delay_s": 0.1} | settings))
            stack.push_async_callback(terminal.gone)
            return terminal

        yield one


async def kept(data_dir: Path) -> list[str]:
    async with embedded.running(data_dir) as server, connected(server.url) as connection:
        return [row[0] for row in await connection.fetch("SELECT message_id FROM sms.delivery_report ORDER BY 1")]


async def ended(terminal: InTerminal) -> int:
    """The exit code; no traceback was printed, and its PostgreSQL is gone too."""
    code = await terminal.ended()
    await eventually(lambda: not processes_of(layout_of(terminal.data_dir).pgdata))
    assert "Traceback" not in terminal.output
    return code


async def acknowledged(terminal: InTerminal, url: str, until: asyncio.Event) -> list[str]:
    """Send reports, one after the other, until nobody answers; those that were answered as good."""
    good: list[str] = []
    async with aiohttp.ClientSession() as client:
        while not until.is_set() or terminal.alive:
            name = f"report-{len(good):04}"
            try:
                async with client.post(url, data=good_body("huawei/report", name), ssl=False) as answer:
                    if answer.status == 200:
                        good.append(name)
            except aiohttp.ClientError:
                return good
    return good


class TestAClosedTerminal:
    @pytest.mark.parametrize("way", ["itself", "under a shell", "with certificates that a hangup could reload"])
    async def test_stops_the_service_in_good_order(self, make: Make, tmp_path: Path, way: str) -> None:
        pair = issue(trustme.CA(), tmp_path, "server")
        with_tls = way.startswith("with")
        terminal = make("serve", **({"tls_certificate": pair.certificate, "tls_key": pair.key} if with_tls else {}))
        terminal.start(*(("sh", "-c", '"$@"; true', "sh") if way == "under a shell" else ()))
        await terminal.told("callback.listening")
        url, closed = f"http{'s' * with_tls}://127.0.0.1:{terminal.port}/callback/huawei/report", asyncio.Event()
        sending = asyncio.create_task(acknowledged(terminal, url, closed))
        await asyncio.sleep(0.3)  # for some reports to be under way
        terminal.close()
        closed.set()
        good = await asyncio.wait_for(sending, 60)
        await ended(terminal)
        assert good
        found = " ".join(await kept(terminal.data_dir))
        assert [name for name in good if name not in found] == []

    async def test_stops_a_pull_with_the_answer_in_hand_kept(self, make: Make, api: Api) -> None:
        terminal = make("pull")
        api.give(report(number) for number in range(5))
        api.gate.clear()
        terminal.start()
        await eventually(api.handed)
        terminal.close()
        await asyncio.sleep(0.3)  # for the signal to come before the answer
        api.gate.set()
        assert await ended(terminal) >= 0, "it ended by itself"
        assert await kept(terminal.data_dir) == ids(api.handed())

    @pytest.mark.parametrize("name", COMMANDS)
    async def test_is_outlived_under_nohup(self, make: Make, name: str) -> None:
        terminal = make(name)
        terminal.start("nohup")
        output = terminal.data_dir.parent / "nohup.out"
        await eventually(lambda: output.exists() and "ops.listening" in output.read_text())
        terminal.close()
        await asyncio.sleep(0.5)
        os.kill(terminal.pid, signal.SIGTERM)
        assert await ended(terminal) == 0, terminal.output
        assert output.read_text().count("service.asked_to_stop") == 1


class TestCtrlC:
    @pytest.mark.parametrize("name", COMMANDS)
    async def test_stops_in_good_order(self, make: Make, name: str) -> None:
        terminal = make(name)
        terminal.start()
        await terminal.told("ops.listening")
        terminal.type(CTRL_C)
        assert await ended(terminal) == 0, terminal.output
        assert "service.stopped" in terminal.output

    async def test_says_what_it_waits_for(self, make: Make) -> None:
        terminal = make("serve", log_format="console", drain_delay_s=60, shutdown_timeout_s=60)
        terminal.start()
        await terminal.told("Ctrl-C")
        async with wire(f"http://127.0.0.1:{terminal.port}") as slow:
            await slow.send(head("/callback/huawei/report", "Content-Length: 100"))
            await asyncio.sleep(0.3)  # for the head to come before the signal
            terminal.type(CTRL_C)
            await terminal.told("stopping · requests under way: 1 · connections open: 1 · at most 1")
        await terminal.told("stopping · requests under way: 0")
        terminal.type(CTRL_C)
        assert await ended(terminal) == 130

    async def test_while_it_starts_ends_the_start(self, make: Make) -> None:
        terminal = make("serve", fresh=True)
        terminal.start()
        await eventually(lambda: list(terminal.data_dir.glob("postgresql.init-*")))
        terminal.type(CTRL_C)
        assert await ended(terminal) == 0, terminal.output
        assert "callback.listening" not in terminal.output
        assert not list(terminal.data_dir.glob("postgresql.init-*"))

    async def test_again_waits_no_more_for_what_is_under_way_and_leaves_nothing_running(
        self, make: Make, api: Api
    ) -> None:
        terminal = make("pull")
        api.give([report(1)])
        api.gate.clear()
        terminal.start()
        await eventually(api.handed)
        terminal.type(CTRL_C)
        await terminal.told("service.stopping")
        await asyncio.sleep(0.5)  # or it would count as the first one, come twice
        terminal.type(CTRL_C)
        assert await ended(terminal) == 130
        assert "service.hurried" in terminal.output


class TestWithoutATerminal:
    async def test_a_hangup_stops_no_pull(self, api: Api, database: str, tmp_path: Path) -> None:
        """Where nothing can be read again, it says nothing to a daemon."""
        process = PullProcess(tmp_path, database_url=database, database_timeout_s=20, **api.settings)
        try:
            await process.start()
            await eventually(lambda: "ops.listening" in process.log)
            await process.signal(signal.SIGHUP)
            api.give([report(1)])
            await eventually(lambda: stored(database))
            await process.signal(signal.SIGTERM)
            assert await process.ended() == 0
        finally:
            await process.gone()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    async def test_a_command_that_is_ended_takes_its_database_with_it(
        self, base: Path, prepared: Path, api: Api, number: int
    ) -> None:
        api.gate.clear()
        data_dir = copied(prepared, base / "command")
        asked = ("pull", "tencent", "--number", report(1)["PhoneNumber"])
        command = asyncio.create_task(receiver(*asked, folder=base, data_dir=data_dir, **api.settings))
        await eventually(lambda: api.calls)
        pgdata = layout_of(data_dir).pgdata
        (postmaster,) = {one.ppid() for one in processes_of(pgdata)} & {one.pid for one in processes_of(pgdata)}
        (parent,) = [one.ppid() for one in processes_of(pgdata) if one.pid == postmaster]
        os.kill(parent, number)
        how = await command
        assert how.code == 128 + number, how
        assert "Traceback" not in how.err
        assert processes_of(pgdata) == []
