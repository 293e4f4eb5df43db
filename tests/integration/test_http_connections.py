"""The HTTP contract below the request: pieces, chunks, pipelines, time-outs, and clients that hang up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from support.capture import captured_log
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, content_type, good_body, stored
from support.service import Service
from support.shared import shared_service
from support.wire import DEADLINE_S, chunked, head, request, wire

MAX_BODY = 5_000
every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, max_body_bytes=MAX_BODY, body_timeout_s=0.5) as service:
        yield service


async def count(service: Service, path: str, name: str) -> int:
    (row,) = await service.rows(*stored(path, name))
    return row["n"]


async def rejected(service: Service) -> int:
    (row,) = await service.rows("SELECT count(*) AS n FROM sms.rejected_payload")
    return row["n"]


async def answered(service: Service) -> int:
    """Requests that are over, whether or not anybody was there to read the answer."""
    async with service.client.get(f"{service.ops_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("receiver_http_requests_total"))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            await asyncio.sleep(0.01)


@every_url
async def test_a_body_may_come_in_chunks(service: Service, path: str) -> None:
    body = good_body(path, "chunks")
    async with wire(service.url) as connection:
        await connection.send(chunked(f"/callback/{path}", body[:10], body[10:11], body[11:]))
        answer = await connection.answer()
    assert answer.status == 200
    assert_good(path, answer.json)
    assert await count(service, path, "chunks") == 1


async def test_a_body_may_come_byte_by_byte(service: Service) -> None:
    async with wire(service.url) as connection:
        for byte in request("/callback/huawei/report", good_body("huawei/report", "bytes")):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await connection.answer()).status == 200
    assert await count(service, "huawei/report", "bytes") == 1


@every_url
async def test_a_larger_body_than_allowed_is_refused_when_it_is_declared(service: Service, path: str) -> None:
    async with wire(service.url) as connection:
        await connection.send(head(f"/callback/{path}", f"Content-Length: {MAX_BODY + 1}"))
        answer = await connection.answer()
    assert answer.status == 413
    assert_bad(path, answer.json)


@every_url
async def test_a_larger_body_than_allowed_is_refused_when_it_comes_in_chunks(service: Service, path: str) -> None:
    async with wire(service.url) as connection:
        await connection.send(chunked(f"/callback/{path}", *[b"x" * 1000] * 6))
        answer = await connection.answer()
    assert answer.status == 413
    assert_bad(path, answer.json)
    assert answer.headers["connection"] == "close"


@every_url
async def test_a_body_that_does_not_come_is_not_waited_for(service: Service, path: str) -> None:
    body = good_body(path, "slow")
    async with wire(service.url) as connection:
        await connection.send(request(f"/callback/{path}", body)[:-5])
        answer = await connection.answer()
    assert answer.status == 408
    assert_bad(path, answer.json)
    assert answer.headers["connection"] == "close"
    assert await count(service, path, "slow") == 0


@every_url
async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(service: Service, path: str) -> None:
    body = good_body(path, "continue")
    async with wire(service.url) as connection:
        await connection.send(head(f"/callback/{path}", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert (await connection.answer()).status == 100
        await connection.send(body)
        assert (await connection.answer()).status == 200
    assert await count(service, path, "continue") == 1


async def test_a_connection_carries_one_request_after_another(service: Service) -> None:
    async with wire(service.url) as connection:
        for path in ENDPOINT_PATHS:
            await connection.send(
                request(f"/callback/{path}", good_body(path, "kept"), f"Content-Type: {content_type(path)}")
            )
            assert_good(path, (await connection.answer()).json)
            await connection.send(request(f"/callback/{path}", b"?"))
            assert (await connection.answer()).status == 400


async def test_pipelined_requests_are_answered_in_their_order(service: Service) -> None:
    async with wire(service.url) as connection:
        await connection.send(b"".join(request(f"/callback/{p}", good_body(p, "pipeline")) for p in ENDPOINT_PATHS))
        for path in ENDPOINT_PATHS:
            assert_good(path, (await connection.answer()).json)
    for path in ENDPOINT_PATHS:
        assert await count(service, path, "pipeline") == 1


async def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    body = good_body("huawei/report", "old")
    async with wire(service.url) as connection:
        await connection.send(request("/callback/huawei/report", body, version="1.0"))
        assert (await connection.answer()).status == 200
        assert await connection.rest() == b""
    assert await count(service, "huawei/report", "old") == 1


async def test_what_a_platform_asks_to_be_closed_is_closed(service: Service) -> None:
    async with wire(service.url) as connection:
        await connection.send(
            request("/callback/huawei/report", good_body("huawei/report", "close"), "Connection: close")
        )
        assert (await connection.answer()).status == 200
        assert await connection.rest() == b""


@every_url
async def test_a_client_that_hangs_up_within_its_body_leaves_nothing_behind(service: Service, path: str) -> None:
    kept, over = await rejected(service), await answered(service)
    body = good_body(path, "cut")
    with captured_log() as log:
        for whole in (request(f"/callback/{path}", body), chunked(f"/callback/{path}", body)):
            async with wire(service.url) as connection:
                await connection.send(whole[:-6])
                connection.hang_up()

        async def both_over() -> bool:
            return await answered(service) == over + 2

        await until(both_over)
    assert await count(service, path, "cut") == 0
    assert await rejected(service) == kept
    assert "Traceback" not in log.text
    assert [line for line in log.lines if line["level"] in {"error", "critical"}] == []


@every_url
async def test_a_client_that_hangs_up_after_its_body_has_delivered_it(service: Service, path: str) -> None:
    names = [f"gone-{number}" for number in range(20)]
    with captured_log() as log:
        for name in names:
            async with wire(service.url) as connection:
                await connection.send(request(f"/callback/{path}", good_body(path, name)))
                connection.hang_up()

        async def all_there() -> bool:
            return [await count(service, path, name) for name in names] == [1] * len(names)

        await until(all_there)
    assert "Traceback" not in log.text


async def test_a_client_that_closes_its_half_has_delivered_its_body(service: Service) -> None:
    async with wire(service.url) as connection:
        await connection.send(request("/callback/huawei/report", good_body("huawei/report", "half")))
        connection.writer.write_eof()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert (await connection.answer()).status == 200

    async def there() -> bool:
        return await count(service, "huawei/report", "half") == 1

    await until(there)
