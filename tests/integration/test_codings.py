"""Bodies in codings: chunked alone is taken; what else is named is refused, and nothing is smuggled in behind it."""

import gzip
from collections.abc import AsyncIterator

import pytest
from support.dialects import ENDPOINT_PATHS, assert_bad, good_body
from support.offenders import Offenders
from support.service import Service
from support.shared import shared_service
from support.wire import Wire, head, request, wire

PATH = "huawei/report"
URL = f"/callback/{PATH}"

CODED = ["gzip, chunked", "GZip,Chunked", "deflate, chunked", "identity, chunked", "trailers, chunked", ",chunked"]
"""aiohttp takes these for chunked."""

FAULTY = {
    "chunked is not the last": "Transfer-Encoding: chunked, gzip",
    "chunked twice": "Transfer-Encoding: chunked, chunked",
    "chunked on two lines": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "two lines": "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "two lines, chunked first": "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    "a second line that is empty": "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
    "no chunked": "Transfer-Encoding: gzip",
    "identity": "Transfer-Encoding: identity",
    "what only ends like chunked": "Transfer-Encoding: xchunked",
    "a parameter": "Transfer-Encoding: chunked;q=1",
    "quotes": 'Transfer-Encoding: "chunked"',
    "a list that ends in nothing": "Transfer-Encoding: chunked,",
    "nothing": "Transfer-Encoding:",
    "a vertical tab": "Transfer-Encoding: \vchunked",
    "a space before the colon": "Transfer-Encoding : chunked",
    "a length behind it": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "a length before it": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "a length beside another coding": "Transfer-Encoding: identity\r\nContent-Length: 5",
}


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, body_timeout_s=0.3) as service:
        yield service


def in_chunks(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


async def is_open(connection: Wire, name: str) -> bool:
    """Whether it serves another request."""
    await connection.send(request(URL, good_body(PATH, name)))
    return (await connection.answer()).status == 200


@pytest.mark.parametrize("path", ENDPOINT_PATHS)
async def test_a_transfer_coding_beside_chunked_is_refused_and_the_bytes_are_kept(service: Service, path: str) -> None:
    offenders = Offenders()
    for coding in CODED:
        for body in (gzip.compress(good_body(path, f"coded-{coding}")), good_body(path, f"plain-{coding}")):
            sent = head(f"/callback/{path}", f"Transfer-Encoding: {coding}") + in_chunks(body[:9], body[9:])
            with offenders.of(coding):
                async with wire(service.url) as connection:
                    await connection.send(sent)
                    answer = await connection.answer()
                    assert answer.status == 415
                    assert_bad(path, answer.said)
                    assert await is_open(connection, "after"), "the chunks told where the body ends"
                (*_, row) = await service.rows("SELECT * FROM sms.rejected_payload ORDER BY received_at")
                assert (row["body"], row["path"]) == (body, f"/callback/{path}")
        assert await service.count(path, f"plain-{coding}") == 0
    assert offenders.found == []


@pytest.mark.parametrize("name", FAULTY)
async def test_what_could_be_framed_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    service: Service, name: str
) -> None:
    body, smuggled = good_body(PATH, f"faulty-{name}"), good_body(PATH, f"smuggled-{name}")
    for version in ("1.1", "1.0"):
        async with wire(service.url) as connection:
            await connection.send(head(URL, FAULTY[name], version=version) + in_chunks(body) + request(URL, smuggled))
            said = await connection.rest()
        assert said.split()[1] == b"400"
        assert said.count(b"HTTP/1.") == 1, "one answer, and the connection is closed"
    assert await service.count(PATH, f"faulty-{name}") == 0
    assert await service.count(PATH, f"smuggled-{name}") == 0


@pytest.mark.parametrize("coding", ["chunked", "CHUNKED", " chunked ", "\tchunked"])
async def test_chunked_alone_is_taken_however_it_is_written(service: Service, coding: str) -> None:
    name = f"taken-{coding!r}"
    async with wire(service.url) as connection:
        await connection.send(head(URL, f"Transfer-Encoding: {coding}") + in_chunks(good_body(PATH, name)))
        assert (await connection.answer()).status == 200
    assert await service.count(PATH, name) == 1


@pytest.mark.parametrize("lines", [("identity", "gzip"), ("identity, gzip",), ("", "gzip")], ids=" and ".join)
async def test_a_compression_on_any_line_of_content_encoding_counts(service: Service, lines: tuple[str, ...]) -> None:
    async with wire(service.url) as connection:
        encodings = [f"Content-Encoding: {line}" for line in lines]
        await connection.send(request(URL, good_body(PATH, "encoded"), *encodings))
        assert (await connection.answer()).status == 415
    assert await service.count(PATH, "encoded") == 0


async def test_submissions_come_uncompressed_too(service: Service) -> None:
    for sent in (
        head("/submissions/huawei", "Content-Encoding: gzip", "Content-Length: 2") + b"{}",
        head("/submissions/huawei", "Transfer-Encoding: gzip, chunked") + in_chunks(b"{}"),
    ):
        async with wire(service.ops_url) as connection:
            await connection.send(sent.replace(b"receiver.test", b"localhost"))
            assert (await connection.answer()).status == 415
