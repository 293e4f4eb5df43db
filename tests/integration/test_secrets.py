"""No secret ever shows: the service gets markers for all it has, everything goes wrong, and the markers are looked for.

`receiver database-url` is the exception, and what it is for.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from click.testing import CliRunner
from support import process as processes
from support.cluster import free_port
from support.command import commands as every_command
from support.databases import connected
from support.process import ServiceProcess
from support.waiting import eventually

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


@contextmanager
def first_rule(file: Path, rule: str) -> Iterator[None]:
    rules = file.read_text(encoding="utf-8")
    file.write_text(f"{rule}\n{rules}", encoding="utf-8")
    yield
    file.write_text(rules, encoding="utf-8")


@pytest.fixture(scope="module")
async def guarded(cluster: str) -> AsyncIterator[str]:
    """URL of a PostgreSQL that asks `keeper` for a password, which is to be filled in."""
    async with connected(cluster) as sql:
        with first_rule(Path(await sql.fetchval("SHOW hba_file")), "local all keeper scram-sha-256"):
            await sql.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}-the-right-one'")
            await sql.execute("SELECT pg_reload_conf()")
            yield cluster.replace("//postgres@", "//keeper:{}@")
        await sql.execute("DROP ROLE keeper")
        await sql.execute("SELECT pg_reload_conf()")


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
    where = guarded.format(PASSWORD) if database == "wrong password" else unreachable()
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


AWAY = (
    "postgresql://keeper:{}@127.0.0.1:1/sms",
    "postgresql://keeper:{}@127.0.0.1:99999/sms",
    "postgresql://keeper:{}@127.0.0.1:1/sms?sslmode=sometimes",
    "postgresql://keeper:{}#/@127.0.0.1:1/sms",
    "mysql://keeper:{}@127.0.0.1/sms",
)
WRONG = {
    "a short token": {"callback_tokens": f"{TOKEN},{MARK}"},
    "a token for no path": {"callback_tokens": f"{TOKEN}/{TOKEN}"},
    "half a key pair": {"push_keys": f"huawei:{MARK}-push-secret"},
    "a platform that does not sign": {"push_keys": f"cloudsms:access:{MARK}-push-secret"},
    "half the pull": {"tencent_pull_sdk_app_id": ""},
}


async def test_a_command_without_its_database_keeps_its_secrets(guarded, commands):
    for where in (guarded, *AWAY):
        for command in (["migrate"], ["rejected", "list"]):
            ended = await commands.run(*command, database_url=where.format(PASSWORD), **SECRETS)
            assert ended.complaint
            assert hidden(ended.out, ended.err)


@pytest.mark.parametrize("trouble", WRONG)
async def test_a_wrong_secret_is_refused_and_not_quoted(tmp_path, commands, trouble):
    settings = SECRETS | {"data_dir": tmp_path / "data", "port": 0, "ops_port": 0, "host": "127.0.0.1"}
    ended = await commands.run("serve", database_url=unreachable(), **(settings | WRONG[trouble]))
    assert ended.code == 1
    assert "Error: RECEIVER_" in ended.err
    assert hidden(ended.out, ended.err)


def test_help_shows_no_setting(monkeypatch):
    for name, value in (SECRETS | {"database_url": unreachable()}).items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    for path in every_command():
        shown = CliRunner().invoke(main, [*path.split(), "--help"])
        assert shown.exit_code == 0
        assert hidden(shown.output)


async def test_the_url_is_told_to_who_asks_for_it(commands):
    ended = await commands.run("database-url", database_url=unreachable())
    assert PASSWORD in ended.out
