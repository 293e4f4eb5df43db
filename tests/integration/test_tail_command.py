"""`receiver tail`: what a running service keeps, as it keeps it, in a terminal and in a pipe."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from support import process
from support import service as services
from support.command import ended, started
from support.preloaded import Commands
from support.service import Service
from support.terminal import CTRL_C, InTerminal
from support.waiting import DEADLINE_S

from receiver.settings import Settings

NUMBER = "8615500005678"


def ops(url: str, **settings: object) -> dict[str, object]:
    return {"ops_host": "127.0.0.1", "ops_port": urlsplit(url).port} | settings


async def post(service: Service, message_id: str, code: str = "DELIVRD") -> None:
    body = json.dumps({"statusReportList": [{"smsMsgId": message_id, "status": code, "to": f"+{NUMBER}"}]})
    assert (await service.post("/callback/huawei/reports", body))[0] == 200


@asynccontextmanager
async def tailing(folder: Path, *arguments: str, **settings: object) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await started("tail", *arguments, folder=folder, **settings)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def line(running: asyncio.subprocess.Process) -> str:
    assert running.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        return (await running.stdout.readline()).decode()


async def test_it_shows_the_last_rows_and_ends_after_as_many_as_are_asked_for(
    service: Service, commands: Commands
) -> None:
    for number, code in enumerate(("DELIVRD", "MK:0001", "UNDELIV", "DELIVRD")):
        await post(service, f"m-{number}", code)
    asked = ops(service.ops_url)
    shown = await commands.run("tail", "--json", "--status", "undeliverable", "--count", "2", **asked)
    rows = [json.loads(one) for one in shown.out.splitlines()]
    assert [(one["message_id"], one["code"], one["kept_in"]) for one in rows] == [
        ("m-1", "MK:0001", "database"),
        ("m-2", "UNDELIV", "database"),
    ]
    plain = await commands.run("tail", "--last", "1", "--count", "1", **asked)
    (only,) = plain.out.splitlines()
    assert only.split()[1:3] == ["huawei", "delivered"]
    assert "m-3" in only
    for ended_one in (shown, plain):
        assert (ended_one.code, ended_one.err) == (0, "")
        assert "\x1b" not in ended_one.out
        assert NUMBER[-8:] not in ended_one.out


async def test_what_is_wrong_is_one_sentence(make_settings: Callable[..., Settings], commands: Commands) -> None:
    token = "an-ops-token-of-many-characters"
    async with services.running(make_settings(ops_token=token)) as service:
        asked = ops(service.ops_url)
        assert "set RECEIVER_OPS_TOKEN" in (await commands.run("tail", **asked)).complaint
        country = await commands.run("tail", "--country", "China", **asked, ops_token=token)
        assert "country='China' is no country" in country.complaint
        url = f"{service.url}/"
        assert "is no ops listener" in (await commands.run("tail", "--url", url, **asked)).complaint
    assert "no service answers at" in (await commands.run("tail", "--url", service.ops_url)).complaint


async def test_it_outlives_a_restart_of_the_service_and_says_so(database: str, tmp_path: Path) -> None:
    async with process.running(tmp_path / "service", database_url=database) as service:
        url = f"http://127.0.0.1:{service.ops_port}"
        async with tailing(tmp_path, "--json", "--url", url) as running:
            await _post_form(service.url, "before")
            assert json.loads(await line(running))["message_id"] == "before"
            await service.terminate()
            assert running.stderr is not None
            said = await asyncio.wait_for(running.stderr.readline(), DEADLINE_S)
            await service.start()
            await _post_form(service.url, "after")
            assert json.loads(await line(running))["message_id"] == "after"
            running.send_signal(signal.SIGINT)
            end = await ended(running)
    assert said == b"The service has ended the stream; connecting again \xe2\x80\xa6\n"
    assert (end.code, end.out, end.err) == (130, "", "Connected again.\n")


async def test_a_closed_pipe_ends_it_without_a_word(service: Service, tmp_path: Path) -> None:
    async with tailing(tmp_path, **ops(service.ops_url)) as running:
        await post(service, "first")
        await line(running)
        running.stdout._transport.close()  # type: ignore[union-attr]  # as `head` does
        while running.returncode is None:
            await post(service, "next")
            await asyncio.sleep(0.05)
        assert running.stderr is not None
        assert await running.stderr.read() == b""


async def test_in_a_terminal_it_has_colours_and_ends_with_ctrl_c(service: Service, tmp_path: Path) -> None:
    await post(service, "m-1", "MK:0001")
    terminal = InTerminal(tmp_path, "tail", **ops(service.ops_url))
    try:
        terminal.start()
        await terminal.told("\x1b[31m undeliverable", "m-1")
        terminal.type(CTRL_C)
        assert await terminal.ended() == 130
        assert "Traceback" not in terminal.output
    finally:
        await terminal.gone()


async def test_a_flood_is_told_with_its_number(service: Service, tmp_path: Path) -> None:
    items = [{"smsMsgId": f"m-{number}", "status": "DELIVRD"} for number in range(500)]
    await service.post("/callback/huawei/reports", "smsMsgId=before&status=DELIVRD")
    async with tailing(tmp_path, **ops(service.ops_url)) as running:
        await line(running)
        await service.post("/callback/huawei/reports", json.dumps({"statusReportList": items}))
        assert running.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            assert b" are shown" in await running.stderr.readline()


async def _post_form(url: str, message_id: str) -> None:
    async with aiohttp.ClientSession() as client:
        body = f"smsMsgId={message_id}&status=DELIVRD".encode()
        async with client.post(f"{url}/callback/huawei/report", data=body) as response:
            assert response.status == 200
