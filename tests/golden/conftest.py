"""What several golden tests look at."""

import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import trustme
from support import certificates, process, tencent_api
from support.golden import BODIES, FORM, SUBMITTED
from support.preloaded import Commands
from support.tencent_api import REPLIES
from support.waiting import eventually
from support.wire import head, wire

_JOURNAL = {
    "tencent-pulled-reports.answer": b'{"received_at":"2026-11-20T09:15:04+00:00","request_id":"0123456789abcdef"}\n'
    b'{"Response": {"PullSmsSendStatusSet": [{"UserReceiveTime": 1790000002, "CountryCode": "86", "SubscriberNumber": '
    b'"13800000002", "PhoneNumber": "+8613800000002", "SerialNo": "golden-8", "ReportStatus": "SUCCESS", '
    b'"Description": "DELIVRD"}], "RequestId": "00000001-req"}}',
    "tencent-pulled-replies.call": b"2026-11-20T09:15:04+00:00",
}
"""What a killed process of the first version has left: an answer that is not kept, a call without an answer."""

_LIFE = {"allowed_addresses": "cloudsms=203.0.113.0/24", "database_timeout_s": 20, "answer_deadline_s": 30}


@dataclass
class Life:
    """What was seen of one service with an embedded PostgreSQL: its folder at three times, metrics and log."""

    made: str
    running: str
    stopped: str
    metrics: str
    log: str


@pytest.fixture
def nowhere() -> Iterator[str]:
    """URL of a database whose port is taken by nobody who listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://nobody@127.0.0.1:{taken.getsockname()[1]}/none"


@pytest.fixture(scope="session")
async def life(open_folder: Path, commands: Commands) -> Life:
    """A folder that `receiver migrate` makes, with the journal of an older version, then a service with traffic."""
    folder = open_folder / "life"
    folder.mkdir()
    data = folder / "data"
    assert (await commands.run("migrate", data_dir=data)).code == 0
    made = tree(data)
    (data / "pull").mkdir(mode=0o700)
    for name, content in _JOURNAL.items():
        (data / "pull" / name).write_bytes(content)
        (data / "pull" / name).chmod(0o600)
    authority = trustme.CA()
    pair = certificates.issue(authority, folder, "golden")
    tls = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    async with (
        tencent_api.running() as api,
        process.running(folder, **(_LIFE | tls | api.settings)) as service,
    ):
        api.give([tencent_api.reply(3)], REPLIES)
        await _traffic(service, certificates.client(authority))
        metrics = ""

        async def is_pulled() -> bool:
            nonlocal metrics
            metrics = await _metrics(service)
            return "receiver_pull_items_total" in metrics and 'outcome="empty"' in metrics

        await eventually(is_pulled)
        running = tree(data)
        assert await service.terminate() == 0
    return Life(made, running, tree(data), metrics, "\n".join(service.output))


async def _traffic(service: process.ServiceProcess, trust: ssl.SSLContext) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as client:

        async def post(path: str, content_type: str, body: str | bytes) -> None:
            async with client.post(service.url + path, data=body, headers={"Content-Type": content_type}) as response:
                await response.read()

        for path, (content_type, body) in [*BODIES.items(), *BODIES.items()]:
            await post(path, content_type, body)
        await post("/callback/huawei/report", FORM, b"\xff<html>")
        await post("/callback/huawei/report", *BODIES["/callback/huawei/reports"])
        for _ in range(2):
            async with client.post(
                f"http://127.0.0.1:{service.ops_port}/submissions/huawei", data=SUBMITTED
            ) as response:
                assert response.status == 200
    async with wire(service.url, tls=trust) as connection:
        endless = head("/callback/huawei/report", *(f"X-{n}: {'x' * 8_000}" for n in range(20))).removesuffix(b"\r\n")
        await connection.send(endless)
        await connection.rest()


async def _metrics(service: process.ServiceProcess) -> str:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{service.ops_port}/metrics") as response,
    ):
        return await response.text()


def tree(folder: Path) -> str:
    """Names and modes, without what is PostgreSQL's own, or is there on some machines only."""
    told = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        within = name.parts[0]
        if within.startswith("postgresql-") or (within.startswith("postgres") and len(name.parts) > 1):
            continue
        told.append(f"{stat.filemode(path.lstat().st_mode)}  {name}")
    return "\n".join(told)
