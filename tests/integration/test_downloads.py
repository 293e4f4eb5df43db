"""A list as a file: whole or visibly broken off, never more of it in memory than a browser takes."""

import asyncio
import csv
import io
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import aiohttp
import asyncpg
import pytest
from support.service import Service, running
from support.shared import shared_service
from support.submissions import hand_over, huawei
from support.visiting import visit
from support.wire import DEADLINE_S

NUMBER = "+8615512345678"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
MANY = 60_000
STREAMING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
FILL = f"""
INSERT INTO sms_data.message (first_received_at, report_id, segments, segments_reported, part, message_id, provider,
                              recipient_key, status, code, recipient, country)
SELECT now() - number * interval '1 second', gen_random_uuid(), 1, 1, 0, 'many-' || number, 'tencent',
       '', 'delivered', 'DELIVRD', '{NUMBER}', 'CN'
FROM generate_series(1, {MANY}) AS number
"""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        for name, code in (("m-1", "DELIVRD"), ("m-2", "UNDELIV"), ("=cmd|' /C calc'!A0", "DELIVRD")):
            fields = {"smsMsgId": name, "status": code, "to": NUMBER}
            assert (await service.post("/callback/huawei/report", urlencode(fields)))[0] == 200
        reply = {"mobile": "15512345678", "nationcode": "86", "text": "退订", "sign": "Acme", "time": 1700000000}
        assert (await service.post("/callback/tencent/reply", json.dumps(reply)))[0] == 200
        assert (await service.post("/callback/huawei/report", "nothing of the kind"))[0] == 400
        await hand_over(service, "/submissions/huawei", huawei("m-3"))
        await service.sql.execute(FILL)
        await service.sql.execute("ANALYZE sms_data.message")
        yield service


async def rows(service: Service, path: str) -> list[dict[str, str]]:
    async with service.client.get(service.ops_url + path) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        name = re.fullmatch(r'attachment; filename="([\w.]+\.csv)"', response.headers["Content-Disposition"])
        assert name is not None
        assert response.headers["Server"] == "receiver"
        text = (await response.read()).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


async def test_each_list_is_a_file_with_the_filters_of_the_list(service: Service) -> None:
    assert [row["message_id"] for row in await rows(service, "/reports.csv?provider=huawei")] == [
        "m-1",
        "m-2",
        "'=cmd|' /C calc'!A0",
    ]
    assert [row["message_id"] for row in await rows(service, "/messages.csv?status=failed")] == ["m-2"]
    assert [row["body"] for row in await rows(service, "/replies.csv")] == ["退订"]
    assert [row["path"] for row in await rows(service, "/rejected.csv")] == ["/callback/huawei/report"]
    assert await rows(service, "/overdue.csv?country=SG") == []


async def test_numbers_are_in_full_only_if_the_list_is_that_of_a_number(service: Service) -> None:
    assert {row["recipient"] for row in await rows(service, "/reports.csv")} == {"+86155****5678"}
    assert {row["recipient"] for row in await rows(service, "/reports.csv?number=155+1234+5678")} == {NUMBER}


async def test_the_page_links_to_its_file(service: Service) -> None:
    page = await visit(service, "/messages?status=failed&provider=huawei")
    assert page.links["Download all as CSV"] == "/messages.csv?provider=huawei&status=failed"


async def test_all_of_many_rows_come_and_the_page_can_ask_how_far_it_is(service: Service) -> None:
    assert len(await rows(service, "/messages.csv?since=7d&provider=tencent&download=0123456789ab")) == MANY
    async with service.client.get(f"{service.ops_url}/downloads/0123456789ab") as response:
        told = await response.json()
    assert (told["rows"], told["state"]) == (MANY, "done")
    assert 0.5 * MANY < told["about"] < 2 * MANY
    for unknown in ("ffffffffffff", "%00"):
        async with service.client.get(f"{service.ops_url}/downloads/{unknown}") as response:
            assert response.status == 404


async def begun(service: Service, path: str) -> socket.socket:
    """A browser that asks for a file and takes none of it."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = service.ops_url.removeprefix("http://").partition(":")
    slow.connect((host, int(port)))
    slow.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return slow


async def until(service: Service, streaming: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await service.sql.fetchval(STREAMING) != streaming:
            await asyncio.sleep(0.05)


async def stalled_at(service: Service, name: str) -> int:
    """Rows that were sent once no more are taken."""
    before = -1
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await asyncio.sleep(0.5)
            async with service.client.get(f"{service.ops_url}/downloads/{name}") as response:
                now = (await response.json()).get("rows", 0)
            if now and now == before:
                return int(now)
            before = now


async def test_no_more_is_read_than_the_browser_takes_and_one_that_leaves_frees_its_connection(
    service: Service,
) -> None:
    name = "abcdef0123456789"
    slow = await begun(service, f"/messages.csv?since=7d&download={name}")
    assert await stalled_at(service, name) < MANY
    assert await service.sql.fetchval(STREAMING) == 1
    slow.close()
    await until(service, 0)


async def test_beyond_a_few_at_a_time_a_page_says_so(service: Service) -> None:
    slow = [await begun(service, "/messages.csv?since=7d") for _ in range(2)]
    await until(service, 2)
    page = await visit(service, "/messages.csv?since=7d")
    assert (page.status, page.headers["Retry-After"]) == (503, "30")
    assert "as many downloads are under way as there may be at once" in page.text
    for one in slow:
        one.close()
    await until(service, 0)
    assert (await visit(service, "/messages.csv?since=1h")).status == 200


async def test_a_file_that_breaks_off_does_not_look_whole(service: Service) -> None:
    async with service.client.get(f"{service.ops_url}/messages.csv?since=7d") as response:
        assert response.status == 200
        await response.content.readany()
        await service.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        with pytest.raises(aiohttp.ClientError):
            await response.read()


@pytest.mark.parametrize("query", ["since=x", "number=abc", "since=2020-01-01&until=2019-01-01", "error=x"])
async def test_a_wrong_filter_is_no_file(service: Service, query: str) -> None:
    page = await visit(service, f"/messages.csv?{query}")
    assert page.status == 400
    assert "Content-Disposition" not in page.headers


async def test_without_postgresql_there_is_a_page_and_no_empty_file(make_settings, database: str) -> None:
    async with running(make_settings(read_database_url=NOWHERE), sql_url=database) as service:
        page = await visit(service, "/messages.csv")
        assert page.status == 503
        assert "refused the connection" in page.text


async def test_a_stop_waits_for_no_download(make_settings, sql: asyncpg.Connection, database: str) -> None:
    """It may take as long as requests under way are given, which is a minute here."""
    await sql.execute(FILL)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            running(make_settings(shutdown_timeout_s=60.0, body_timeout_s=60.0), sql_url=database)
        )
        slow = await begun(service, "/messages.csv?since=7d")
        await until(service, 1)
        async with asyncio.timeout(DEADLINE_S):
            await stack.aclose()
    slow.close()
