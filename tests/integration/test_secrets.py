"""No secret ever shows: the service gets markers for all it has, everything goes wrong, and the markers are looked for.

`receiver database-url` is the exception, and what it is for.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from click.testing import CliRunner
from support import process as processes
from support.cluster import free_port
from support.command import commands, receiver
from support.databases import administrate
from support.process import ServiceProcess
from support.waiting import eventually

from receiver import embedded
from receiver.cli import main
from receiver.settings import PREFIX

MARK = "m4rk"
PASSWORD = f"{MARK}-password"
TOKEN = f"{MARK}-callback-token-0123456789"
SECRETS = {
    "callback_tokens": TOKEN,
    "push_keys": f"huawei:an-access-key:{MARK}-push-secret",
    "tencent_pull_secret_id": "an-id",
    "tencent_pull_secret_key": f"{MARK}-pull-secret",
    "tencent_pull_sdk_app_id": "1400000000",
}
OF_PLATFORM = "/callback/cloudsms/report"
SIGNED = "/callback/huawei/report"


@pytest.fixture(scope="module")
async def guarded(open_folder: Path) -> AsyncIterator[str]:
    """host and port of a PostgreSQL that asks `keeper` for a password."""
    async with embedded.running(open_folder / "guarded") as server:
        hba = open_folder / "guarded" / "postgresql" / "pg_hba.conf"
        hba.write_text(f"local all keeper scram-sha-256\n{hba.read_text(encoding='utf-8')}", encoding="utf-8")
        create = f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}-the-right-one'"
        await administrate(server.url, "SELECT pg_reload_conf()", create)
        yield server.url.replace("//postgres@", "//{}@")


def url(guarded: str, password: str = PASSWORD) -> str:
    return guarded.format(f"keeper:{password}")


def unreachable() -> str:
    return f"postgresql://keeper:{PASSWORD}@127.0.0.1:{free_port()}/sms"


def hidden(*texts: str) -> bool:
    found = [line for text in texts for line in text.splitlines() if MARK in line]
    assert found == []
    return True


def titles(pid: int) -> list[str]:
    """What anybody on the machine sees of the process and of those that it has started."""
    process = psutil.Process(pid)
    return [" ".join([*one.cmdline(), one.name()]) for one in (process, *process.children(recursive=True))]


async def provoke(service: ServiceProcess) -> list[str]:
    """Everything that strangers can get wrong; what they are answered."""
    answers = []
    async with aiohttp.ClientSession() as client:
        for path, body in (
            (f"{OF_PLATFORM}/{TOKEN}", b"{}"),
            (f"{OF_PLATFORM}/{TOKEN}", f'{{"{TOKEN}": "{MARK}-push-secret"'.encode()),
            (f"{OF_PLATFORM}/{TOKEN}x", b"{}"),
            (f"{OF_PLATFORM}/{TOKEN[:-1]}", b"{}"),
            (f"/elsewhere/{TOKEN}", b"{}"),
            (f"{OF_PLATFORM}?token={TOKEN}", b"{}"),
            (f"{SIGNED}/{TOKEN}", b"smsMsgId=m-1&status=DELIVRD"),
        ):
            signed = {"Authorization": f"SDK-HMAC-SHA256 Access=an-access-key, Signature={MARK}-push-secret"}
            async with client.post(service.url + path, data=body, headers=signed) as response:
                answers.append(await response.text())
        for path in ("/metrics", "/readyz", "/spool", "/nowhere"):
            async with client.get(f"http://127.0.0.1:{service.ops_port}{path}") as response:
                answers.append(await response.text())
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"BAD {OF_PLATFORM}/{TOKEN}\x00 HTTP/9\r\n{TOKEN}\r\n\r\n".encode())
    await reader.read()  # quotes the line to whoever sent it
    writer.close()
    return answers


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("database", ["wrong password", "unreachable"])
async def test_a_service_in_trouble_keeps_its_secrets(guarded, tmp_path, database, log_format):
    where = url(guarded) if database == "wrong password" else unreachable()
    endpoint = f"http://127.0.0.1:{free_port()}"
    trouble = {"log_format": log_format, "log_level": "DEBUG", "tencent_pull_endpoint": endpoint}
    async with processes.running(tmp_path, database_url=where, **SECRETS, **trouble) as service:
        answers = await provoke(service)
        shown = titles(service.pid)
        await service.told("spool.opened")
        await service.told("pull.")
        await eventually(lambda: service.tail().count("database.unreachable") > 0)
        assert await service.terminate() == 0
    assert len(service.output) > 10
    assert "receiver serve" in shown[0]
    assert hidden(*service.output, *answers, *shown)


AWAY = {
    "the wrong password": None,
    "nobody there": "postgresql://keeper:{}@127.0.0.1:1/sms",
    "a port out of range": "postgresql://keeper:{}@127.0.0.1:99999/sms",
    "no such option": "postgresql://keeper:{}@127.0.0.1:1/sms?sslmode=sometimes",
    "a special character": "postgresql://keeper:{}#/@127.0.0.1:1/sms",
    "another scheme": "mysql://keeper:{}@127.0.0.1/sms",
}
WRONG = {
    "a short token": {"callback_tokens": f"{TOKEN},{MARK}"},
    "a token for no path": {"callback_tokens": f"{TOKEN}/{TOKEN}"},
    "half a key pair": {"push_keys": f"huawei:{MARK}-push-secret"},
    "a platform that does not sign": {"push_keys": f"cloudsms:access:{MARK}-push-secret"},
    "half the pull": {"tencent_pull_sdk_app_id": ""},
}


@pytest.mark.parametrize("trouble", AWAY)
async def test_a_command_without_its_database_keeps_its_secrets(guarded, tmp_path, trouble):
    where = (AWAY[trouble] or guarded.replace("//{}@", "//keeper:{}@")).format(PASSWORD)
    for command in (["migrate"], ["rejected", "list"]):
        ended = await receiver(*command, folder=tmp_path, database_url=where, **SECRETS)
        assert ended.complaint
        assert hidden(ended.out, ended.err)


@pytest.mark.parametrize("trouble", WRONG)
async def test_a_wrong_secret_is_refused_and_not_quoted(tmp_path, trouble):
    settings = SECRETS | {"data_dir": tmp_path / "data", "port": 0, "ops_port": 0, "host": "127.0.0.1"}
    ended = await receiver("serve", folder=tmp_path, database_url=unreachable(), **(settings | WRONG[trouble]))
    assert ended.code == 1
    assert "Error: RECEIVER_" in ended.err
    assert hidden(ended.out, ended.err)


def test_help_shows_no_setting(monkeypatch):
    for name, value in (SECRETS | {"database_url": unreachable()}).items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    for path in commands():
        shown = CliRunner().invoke(main, [*path.split(), "--help"])
        assert shown.exit_code == 0
        assert hidden(shown.output)


async def test_the_url_is_told_to_who_asks_for_it(tmp_path):
    ended = await receiver("database-url", folder=tmp_path, database_url=unreachable())
    assert PASSWORD in ended.out
