"""Receivers behind HAProxy and nginx with the files that are shipped: nothing told, nothing changed on the way.

What becomes of reports when receivers restart, die or hang behind them: test_rolling.py.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support import fronts, wire
from support.cases import case
from support.cluster import APPLICATION, Cluster
from support.databases import connected
from support.front import SERVER_NAME, Front
from support.process import ServiceProcess
from support.waiting import eventually

from receiver.settings import Settings
from receiver.simulate.dialects.huawei_signer import push_headers

TOKEN = "a-token-that-nobody-may-read"
SUITES = [f"ECDHE-{key}-{rest}" for key in ("ECDSA", "RSA") for rest in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")]
FORM = "application/x-www-form-urlencoded"
CLOUDSMS = case("cloudsms/vendor-sample")
HUAWEI = f"/callback/huawei/report/{TOKEN}"

Program = Callable[..., list[str]]


@dataclass
class Behind:
    """A proxy, and three instances behind it, each on a port of its own."""

    front: Front
    instances: list[ServiceProcess]
    sql: "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture(scope="module", params=fronts.NAMES)
async def behind(
    request: pytest.FixtureRequest, program: Program, reachable: Cluster, open_folder: Path
) -> AsyncIterator[Behind]:
    folder = open_folder / f"behind-{request.param}"
    folder.mkdir()
    database = await reachable.new_database()
    settings = {
        "database_url": reachable.url(database, user=APPLICATION),
        "callback_tokens": TOKEN,
        "push_keys": "huawei:the-access:the-secret",
        "trusted_proxies": "127.0.0.1/32",
    }
    instances = [ServiceProcess(folder / str(number), **settings) for number in range(3)]
    async with AsyncExitStack() as stack:
        sql = await stack.enter_async_context(connected(reachable.socket_url(database)))
        for instance in instances:
            await listening(instance)
            stack.push_async_callback(_gone, instance)
        front = stack.enter_context(fronts.running(request.param, program, folder / "proxy", instances))
        yield Behind(front, instances, sql)


async def listening(instance: ServiceProcess) -> None:
    """Start it, and wait until it takes callbacks."""
    await instance.start()

    async def accepts() -> bool:
        try:
            async with wire.wire(instance.url):
                return True
        except OSError:
            return False

    await eventually(accepts)


async def _gone(instance: ServiceProcess) -> None:
    if instance.alive:
        await instance.kill()


def form(message: str) -> bytes:
    return f"smsMsgId={message}&status=DELIVRD".encode()


def push(body: bytes, path: str = HUAWEI, connection: str = "Keep-Alive") -> bytes:
    """A push as Huawei's platform sends it: every header that it signs, signed."""
    url = f"https://{SERVER_NAME}{path}"
    headers = push_headers(url, body, FORM, access="the-access", secret="the-secret", at=datetime.now(UTC))
    assert connection == headers["Connection"]
    lines = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join((f"POST {path} HTTP/1.1", *lines, "", "")).encode() + body


@pytest.mark.parametrize("suite", SUITES)
async def test_each_of_huaweis_suites_brings_a_signed_push_through(behind: Behind, suite: str) -> None:
    async with behind.front.connected(suite) as connection:
        assert connection.writer.get_extra_info("cipher")[0] == suite
        for number in range(2):
            await connection.send(push(form(f"by-{suite}-{number}")))
            answer = await connection.answer()
            assert (answer.status, answer.json["returnCode"]) == (200, 0)
    count = "SELECT count(*) FROM sms.delivery_report WHERE message_id LIKE $1"
    assert await behind.sql.fetchval(count, f"by-{suite}-%") == 2


async def test_nothing_weaker_is_spoken(behind: Behind) -> None:
    for suite in ("ECDHE-RSA-AES256-SHA384", "AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"):
        with pytest.raises(OSError, match=r"(?i)handshake|reset|eof"):
            async with behind.front.connected(suite):
                pass


async def test_a_changed_push_is_refused_as_ever(behind: Behind) -> None:
    answer = await behind.front.send(push(form("changed")).replace(b"DELIVRD", b"UNDELIV"))
    assert answer.status == 401


async def test_the_platforms_address_is_stored_whatever_the_caller_says(behind: Behind) -> None:
    claims = ("X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9")
    request = wire.request(f"{CLOUDSMS.path}/{TOKEN}", CLOUDSMS.body, *claims)
    answer = await behind.front.send(request, local="127.0.0.77")
    assert answer.status == 200
    rows = await behind.sql.fetch(
        "SELECT DISTINCT host(remote_addr) FROM sms.delivery_report WHERE provider = 'cloudsms'"
    )
    assert [row[0] for row in rows] == ["127.0.0.77"]


async def test_what_is_too_large_or_elsewhere_does_not_reach_the_receiver(behind: Behind) -> None:
    limit = Settings(_env_file=None).max_body_bytes
    assert (await behind.front.send(wire.head(HUAWEI, f"Content-Length: {limit + 1}"))).status == 413
    large = form("large") + b"&extend=" + b"x" * limit
    assert (await behind.front.send(push(large[:limit]))).status != 413, "of exactly this size it goes through"
    for path in ("/", "/healthz", "/metrics", "/callback", "/callback/", "/submissions/huawei"):
        assert (await behind.front.send(wire.request(path, b""))).status == 404


async def test_no_log_of_the_proxy_has_the_token(behind: Behind) -> None:
    """Not in the access log, nor in the error log, which quotes requests that went wrong."""
    caller = "127.0.0.78"  # of this test alone: lines about earlier requests may still be on their way

    def told() -> list[dict[str, Any]]:
        return [line for line in behind.front.told() if line["remote"] == caller]

    paths = [HUAWEI, f"{HUAWEI}?x=1", f"/callback/huawei/{TOKEN}", f"/{TOKEN}", f"/callback//huawei/report/{TOKEN}"]
    requests = [*(wire.request(path, b"smsMsgId=1") for path in paths), wire.head(HUAWEI, "Content-Length: 99999999")]
    for number, request in enumerate(requests, 1):
        await behind.front.send(request, local=caller)
        await eventually(lambda number=number: len(told()) == number)
    seen = [line["path"] for line in told()]
    assert seen == ["/callback/huawei/report"] * 2 + ["-"] * 3 + ["/callback/huawei/report"]
    assert TOKEN not in behind.front.logs()
    assert told()[-1]["status"] == 413
