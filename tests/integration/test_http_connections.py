"""The HTTP contract below the request: pieces, chunks, pipelines, time-outs, and clients that hang up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from support.capture import captured_log
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, content_type, good_body
from support.service import Service
from support.shared import shared_service
from support.waiting import eventually
from support.wire import Answer, chunked, head, request, wire

PATH = "huawei/report"
URL = f"/callback/{PATH}"
MAX_BODY = 5_000


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, max_body_bytes=MAX_BODY, body_timeout_s=0.5) as service:
        yield service


async def answer_to(service: Service, sent: bytes) -> Answer:
    async with wire(service.url) as connection:
        await connection.send(sent)
        return await connection.answer()


async def stored(service: Service, *names: str) -> None:
    """Wait until each of these is stored, and once."""

    async def all_there() -> bool:
        return [await service.count(PATH, name) for name in names] == [1] * len(names)

    await eventually(all_there)


@pytest.mark.parametrize("path", ENDPOINT_PATHS)
async def test_a_body_may_come_in_chunks_and_one_too_large_or_too_slow_is_refused(service: Service, path: str) -> None:
    url, body = f"/callback/{path}", good_body(path, "chunks")
    taken = await answer_to(service, chunked(url, body[:10], body[10:11], body[11:]))
    assert taken.status == 200
    assert_good(path, taken.json)
    assert await service.count(path, "chunks") == 1
    for sent, status in (
        (head(url, f"Content-Length: {MAX_BODY + 1}"), 413),
        (chunked(url, *[b"x" * 1000] * 6), 413),
        (request(url, good_body(path, "slow"))[:-5], 408),
    ):
        refused = await answer_to(service, sent)
        assert (refused.status, refused.headers["connection"]) == (status, "close")
        assert_bad(path, refused.json)
    assert await service.count(path, "slow") == 0


async def test_a_body_may_come_byte_by_byte(service: Service) -> None:
    async with wire(service.url) as connection:
        for byte in request(URL, good_body(PATH, "bytes")):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await connection.answer()).status == 200
    assert await service.count(PATH, "bytes") == 1


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(service: Service) -> None:
    body = good_body(PATH, "continue")
    async with wire(service.url) as connection:
        await connection.send(head(URL, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert (await connection.answer()).status == 100
        await connection.send(body)
        assert (await connection.answer()).status == 200
    assert await service.count(PATH, "continue") == 1


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
        assert await service.count(path, "pipeline") == 1


async def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    body = good_body(PATH, "old")
    async with wire(service.url) as connection:
        await connection.send(request(URL, body, version="1.0"))
        assert (await connection.answer()).status == 200
        assert await connection.rest() == b""
    assert await service.count(PATH, "old") == 1


async def test_what_a_platform_asks_to_be_closed_is_closed(service: Service) -> None:
    async with wire(service.url) as connection:
        await connection.send(request(URL, good_body(PATH, "close"), "Connection: close"))
        assert (await connection.answer()).status == 200
        assert await connection.rest() == b""


async def test_a_client_that_hangs_up_within_its_body_leaves_nothing_behind(service: Service) -> None:
    kept = await service.rows("SELECT count(*) FROM sms.rejected_payload")
    over = await service.metric("receiver_http_requests_total") + 2
    body = good_body(PATH, "cut")
    with captured_log() as log:
        for whole in (request(URL, body), chunked(URL, body)):
            async with wire(service.url) as connection:
                await connection.send(whole[:-6])
                connection.hang_up()

        async def both_over() -> bool:
            return await service.metric("receiver_http_requests_total") == over

        await eventually(both_over)
    assert await service.count(PATH, "cut") == 0
    assert await service.rows("SELECT count(*) FROM sms.rejected_payload") == kept
    assert "Traceback" not in log.text
    assert [line for line in log.lines if line["level"] in {"error", "critical"}] == []


async def test_a_client_that_hangs_up_after_its_body_has_delivered_it(service: Service) -> None:
    names = [f"gone-{number}" for number in range(20)]
    with captured_log() as log:
        for name in names:
            async with wire(service.url) as connection:
                await connection.send(request(URL, good_body(PATH, name)))
                connection.hang_up()
        await stored(service, *names)
    assert "Traceback" not in log.text


async def test_a_client_that_closes_its_half_has_delivered_its_body(service: Service) -> None:
    async with wire(service.url) as connection:
        await connection.send(request(URL, good_body(PATH, "half")))
        connection.writer.write_eof()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert (await connection.answer()).status == 200
    await stored(service, "half")
