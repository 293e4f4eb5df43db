"""`/live/events`: what is kept is shown as it is kept, and no watcher holds anything up."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import process
from support import service as services
from support.capture import captured_log
from support.dialects import ENDPOINT_PATHS, good_body, own_name
from support.service import Service
from support.sse import Event, events
from support.wire import head, wire
from yarl import URL

from receiver.settings import Settings
from receiver.web import live, live_events

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
NUMBER = "8615500005678"


@asynccontextmanager
async def watching(client: aiohttp.ClientSession, ops_url: str, query: str = "") -> AsyncIterator[AsyncIterator[Event]]:
    """The stream of a watcher that is there: its answer's head has come."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with client.get(URL(f"{ops_url}/live/events?{query}", encoded=True), timeout=timeout) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "receiver"
        async with aclosing(events(response)) as stream:
            yield stream


async def shown(stream: AsyncIterator[Event], number: int) -> list[dict[str, Any]]:
    return [(await anext(stream))[1] for _ in range(number)]


async def refusal(service: Service, query: str) -> tuple[int, str]:
    async with service.client.get(URL(f"{service.ops_url}/live/events?{query}", encoded=True)) as response:
        return response.status, (await response.json())["error"]


async def test_every_callback_is_shown_once_it_is_kept(service: Service) -> None:
    names = []
    async with watching(service.client, service.ops_url) as stream:
        for path in ENDPOINT_PATHS:
            for body in (good_body(path, "live"), good_body(path, "live"), b"not understood"):
                await service.post(f"/callback/{path}", body)
            names.append(own_name(path, "live"))
        seen = await shown(stream, 3 * len(ENDPOINT_PATHS))
    told = [(one["event"].partition(".")[2], one["kept_in"]) for one in seen]
    assert told == [("stored", "database"), ("duplicate", "database"), ("rejected", "database")] * len(ENDPOINT_PATHS)
    reports = [one for one in seen if one["event"] == "report.stored"]
    rows = await service.rows("SELECT message_id, provider, status, code FROM sms.delivery_report")
    assert sorted(str([one[name] for name in row]) for one, row in zip(reports, rows, strict=True)) == sorted(
        str([*row.values()]) for row in rows
    )
    assert "5678" in str(seen)
    assert NUMBER[-8:] not in str(seen)


async def test_a_filter_shows_its_own_and_the_last_ones_come_first(service: Service) -> None:
    for number, code in enumerate(("DELIVRD", "MK:0001", "DELIVRD", "UNDELIV")):
        await service.post("/callback/huawei/report", f"smsMsgId=m{number}&status={code}")
    async with watching(service.client, service.ops_url, "status=undeliverable&last=1") as stream:
        assert [one["message_id"] for one in await shown(stream, 1)] == ["m3"]
        for number, code in ((4, "DELIVRD"), (5, "MK:0001"), (6, "DELIVRD")):
            await service.post("/callback/huawei/report", f"smsMsgId=m{number}&status={code}")
        assert [one["message_id"] for one in await shown(stream, 1)] == ["m5"]
    assert (await refusal(service, "status=lost"))[0] == 400
    assert "'colour' is no filter" in (await refusal(service, "colour=red"))[1]
    async with service.client.post(f"{service.ops_url}/live/events") as response:
        assert response.status == 405


async def test_a_strangers_text_cannot_forge_an_event(service: Service) -> None:
    forged = "x%0A%0Adata: {}%0Aevent: sampled%0A%1B[2J%E2%80%AE<script>"
    async with watching(service.client, service.ops_url) as stream:
        await service.post("/callback/huawei/report", f"smsMsgId={forged}&status={forged}")
        ((name, seen),) = [await anext(stream)]
    assert name == "message"
    assert json.dumps(seen).isprintable()
    assert "\\u202e<script>" in seen["code"]
    assert seen["message_id"].isascii()


async def test_what_is_spooled_is_shown_as_spooled(make_settings: Callable[..., Settings], database: str) -> None:
    async with (
        services.running(make_settings(database_url=NOWHERE), sql_url=database) as service,
        watching(service.client, service.ops_url) as stream,
    ):
        await service.post("/callback/huawei/report", "smsMsgId=away&status=DELIVRD")
        (seen,) = await shown(stream, 1)
    assert (seen["event"], seen["kept_in"]) == ("report.spooled", "spool")


async def test_a_stop_ends_the_streams_at_once(make_settings: Callable[..., Settings]) -> None:
    """The listener lets requests under way finish, here for ten minutes: a stream would never do."""
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as client:
        service = await stack.enter_async_context(services.running(make_settings(shutdown_timeout_s=600.0)))
        async with watching(client, service.ops_url) as stream, watching(client, service.ops_url) as other:
            await service.post("/callback/huawei/report", "smsMsgId=last&status=DELIVRD")
            await anext(stream)
            async with asyncio.timeout(60):
                await stack.aclose()
            assert [event async for event in stream] == []
            assert [data["message_id"] async for _, data in other] == ["last"]


async def test_a_watcher_that_reads_nothing_is_dropped_and_the_others_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TURN_S", 0.02)
    monkeypatch.setattr(live, "SHOWN", 2_000)
    monkeypatch.setattr(live, "MOST_WATCHERS", 2)
    monkeypatch.setattr(live_events, "_TAKE_S", 0.3)
    items = [{"smsMsgId": f"{'m' * 200}{number}", "status": "DELIVRD"} for number in range(1_000)]
    batch = json.dumps({"statusReportList": items})
    async with wire(service.ops_url) as connection, watching(service.client, service.ops_url) as stream:
        await connection.send(head("/live/events", method="GET").replace(b"receiver.test", b"localhost"))
        await connection.reader.readuntil(b"retry: 2000")
        connection.writer.transport.pause_reading()
        with captured_log() as log:
            while await refused(service):
                await service.post("/callback/huawei/reports", batch)
                await shown(stream, 1_000)
            await service.post("/callback/huawei/report", "smsMsgId=last&status=DELIVRD")
            assert [one["message_id"] for one in await shown(stream, 1)] == ["last"]
            connection.writer.transport.resume_reading()
            assert not (await connection.rest()).endswith(b"\r\n0\r\n\r\n")
    assert "Traceback" not in log.text


async def refused(service: Service) -> bool:
    """Whether there is no place for one more watcher."""
    async with service.client.get(f"{service.ops_url}/live/events") as response:
        return response.status == 503


async def test_the_workers_are_watched_together_and_one_that_dies_is_no_error(database: str, tmp_path: Path) -> None:
    settings = {"database_url": database, "workers": 2}
    async with process.running(tmp_path, **settings) as running, aiohttp.ClientSession() as client:
        ops_url = f"http://127.0.0.1:{running.ops_port}"
        async with watching(client, ops_url) as stream, watching(client, ops_url, "code=UNDELIV") as filtered:
            await post_each_alone(running.url, "before", 12)
            before = await shown(stream, 12)
            (victim, *_) = running.workers()
            victim.kill()
            await running.until(lambda answer: answer["workers"]["serving"] == 2)
            await post_each_alone(running.url, "after", 12)
            after = await shown(stream, 12)
            some = await shown(filtered, 12)
        noise = running.noise()
    assert [sorted(one["message_id"] for one in several) for several in (before, after)] == [
        sorted(f"{name}-{number}" for number in range(12)) for name in ("before", "after")
    ]
    assert len({one["id"].partition(":")[0] for one in before}) == 2, "one worker took all: the test proves nothing"
    assert {one["code"] for one in some} == {"UNDELIV"}
    assert noise == []


async def post_each_alone(url: str, name: str, number: int) -> None:
    """Reports over connections of their own, which fall to any worker; every second one is not delivered."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client:
        for at in range(number):
            body = f"smsMsgId={name}-{at}&status={('DELIVRD', 'UNDELIV')[at % 2]}".encode()
            async with client.post(f"{url}/callback/huawei/report", data=body) as response:
                assert response.status == 200
