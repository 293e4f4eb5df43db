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
    assert_good(path, taken.said)
    assert await service.count(path, "chunks") == 1
    for sent, status in (
        (head(url, f"Content-Length: {MAX_BODY + 1}"), 413),
        (chunked(url, *[b"x" * 1000] * 6), 413),
        (request(url, good_body(path, "slow"))[:-5], 408),
    ):
        refused = await answer_to(service, sent)
        assert (refused.status, refused.headers["connection"]) == (status, "close")
        assert_bad(path, refused.said)
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


async def test_pipelined_requests_are_answered_in_their_order_good_or_bad(service: Service) -> None:
    async with wire(service.url) as connection:
        for path in ENDPOINT_PATHS:
            url, media_type = f"/callback/{path}", f"Content-Type: {content_type(path)}"
            await connection.send(request(url, good_body(path, "pipeline"), media_type) + request(url, b"?"))
        for path in ENDPOINT_PATHS:
            assert_good(path, (await connection.answer()).json)
            assert (await connection.answer()).status == 400
            assert await service.count(path, "pipeline") == 1


@pytest.mark.parametrize(("version", "headers"), [("1.0", []), ("1.1", ["Connection: close"])])
async def test_an_old_client_or_one_that_asks_for_it_is_answered_and_closed(
    service: Service, version: str, headers: list[str]
) -> None:
    async with wire(service.url) as connection:
        await connection.send(request(URL, good_body(PATH, f"closed-{version}"), *headers, version=version))
        assert (await connection.answer()).status == 200
        assert await connection.rest() == b""
    assert await service.count(PATH, f"closed-{version}") == 1


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


async def test_a_good_answer_says_whether_the_connection_stays_and_finds_the_url_however_it_is_spelled(
    service: Service,
) -> None:
    for url, version, header, stays in (
        (URL, "1.1", "X: y", ""),
        (f"{URL}?a=b", "1.1", "X: y", ""),
        ("/callback/huawei/%72eport", "1.1", "X: y", ""),
        (f"http://elsewhere.test{URL}", "1.1", "X: y", ""),
        (URL, "1.1", "Connection: close", "close"),
        (URL, "1.0", "Connection: keep-alive", "keep-alive"),
        (URL, "1.0", "X: y", None),
    ):
        async with wire(service.url) as connection:
            await connection.send(request(url, good_body(PATH, "said"), header, version=version))
            answer = await connection.answer()
            assert (answer.status, answer.headers["server"]) == (200, "receiver"), url
            assert_good(PATH, answer.said)
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert answer.headers["date"].endswith(" GMT")
            assert answer.headers.get("connection", "") == (stays or "")
            if stays in {"", "keep-alive"}:
                await connection.send(request(URL, good_body(PATH, "said"), version=version))
                assert (await connection.answer()).status == 200
            else:
                assert await connection.rest() == b""
