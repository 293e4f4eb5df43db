"""What is no HTTP at all: the service answers the next honest request, and its log stays short and clean."""

import re
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from support.capture import Captured, captured_log
from support.dialects import assert_good, good_body
from support.https import client_hello
from support.service import Service
from support.shared import shared_service
from support.wire import head, request, wire

PATH = "huawei/report"
URL = f"/callback/{PATH}"
SECRET = "a-piece-of-the-body-13912345678"
BODY = f"smsMsgId={SECRET}&status=DELIVRD".encode()
VERSIONS = re.compile(rb"aiohttp|Python|/\d+\.\d+\.\d")
"""What a `Server` header tells by default, which is for attackers alone."""

_numbers = count()


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, body_timeout_s=0.3) as service:
        yield service


@pytest.fixture
def log() -> Iterator[Captured]:
    with captured_log(level="INFO") as log:
        yield log


async def honest_request(service: Service) -> None:
    name = f"honest-{next(_numbers)}"
    status, answer = await service.post(URL, good_body(PATH, name))
    assert status == 200
    assert_good(PATH, answer)
    assert await service.count(PATH, name) == 1


def rest_of(headers: str) -> bytes:
    return f"POST {URL} HTTP/1.1\r\n{headers}\r\n\r\n".encode("latin-1") + BODY


GARBAGE = {
    "a line of text": f"{SECRET}\r\n\r\n".encode(),
    "empty lines": b"\r\n" * 1_000,
    "zero bytes": b"\0" * 1_000,
    "every byte": bytes(range(256)) * 10,
    "TLS": client_hello(f"{SECRET}.test"),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n" + BODY + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + BODY,
    "the PROXY protocol": b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n" + request(URL, BODY),
    "an unknown method": request(URL, BODY, method="BREW"),
    "no version": f"POST {URL}\r\n\r\n".encode() + BODY,
    "an unknown version": f"POST {URL} HTTP/7.3\r\nHost: x\r\n\r\n".encode() + BODY,
    "a path with spaces": request(f"/callback/{SECRET} and more", BODY),
    "a path beyond ASCII": b"POST /callback/\xff\xfe\xe4 HTTP/1.1\r\nHost: x\r\n\r\n" + BODY,
    "a very long path": request("/" + SECRET * 1_000, BODY),
    "a very long header": rest_of(f"Host: x\r\nX-More: {SECRET * 3_000}"),
    "very many headers": rest_of("Host: x\r\n" + "\r\n".join(f"X-{n}: {SECRET}" for n in range(5_000))),
    "U+0000 in a header": rest_of(f"Host: x\r\nX-More: {SECRET}\0{SECRET}\r\nContent-Length: 5"),
    "a header without a name": rest_of(f"Host: x\r\n: {SECRET}"),
    "a header without a colon": rest_of(f"Host: x\r\n{SECRET}"),
    "a folded header": rest_of(f"Host: x\r\nX-More: a\r\n {SECRET}"),
    "a lone line feed in a header": rest_of(f"Host: x\r\nX-More: a\n{SECRET}"),
    "a length that is no number": rest_of("Host: x\r\nContent-Length: many"),
    "a length below zero": rest_of("Host: x\r\nContent-Length: -1"),
    "a length with a sign": rest_of("Host: x\r\nContent-Length: +5"),
    "a length of a thousand digits": rest_of(f"Host: x\r\nContent-Length: {'9' * 1_000}"),
    "two lengths": rest_of("Host: x\r\nContent-Length: 5\r\nContent-Length: 6"),
    "a chunk's size that is no number": rest_of("Host: x\r\nTransfer-Encoding: chunked") + b"\r\n",
    "a chunk's size below zero": head(URL, "Transfer-Encoding: chunked") + b"-5\r\n" + BODY,
    "a chunk's size without end": head(URL, "Transfer-Encoding: chunked") + b"f" * 100 + b"\r\n" + BODY,
    "a chunk that is longer than its size": head(URL, "Transfer-Encoding: chunked")
    + b"2\r\n"
    + BODY
    + b"\r\n0\r\n\r\n",
    "chunks without an end": head(URL, "Transfer-Encoding: chunked") + b"2\r\nab\r\n",
    "an upgrade to a web socket": request(URL, BODY, "Connection: Upgrade", "Upgrade: websocket", method="GET"),
    "an unknown expectation": request(URL, BODY, "Expect: miracles"),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_on_the_line_harms_nobody(service: Service, log: Captured, name: str) -> None:
    """aiohttp takes what is wrong with a connection's first request for a stranger's probe, and the rest for faults."""
    for url, is_first in ((service.url, True), (service.url, False), (service.ops_url, True)):
        async with wire(url) as connection:
            if not is_first:
                await connection.send(head(URL, method="HEAD"))
                assert (await connection.answer(without_body=True)).status == 200
            await connection.send(GARBAGE[name])
            connection.writer.write_eof()
            said = await connection.rest()
        assert not re.search(rb"HTTP/1\.[01] 5", said)
        assert VERSIONS.findall(said) == []
    await honest_request(service)
    assert not re.search(f"Traceback|{SECRET}|13912345678", log.text)
    assert [line for line in log.lines if line["level"] in {"error", "critical"}] == []
    assert not await service.rows("SELECT FROM sms.delivery_report WHERE message_id LIKE $1", f"%{SECRET}%")


async def test_a_flood_of_garbage_does_not_flood_the_log(service: Service, log: Captured) -> None:
    for number in range(100):
        async with wire(service.url) as connection:
            await connection.send(head(URL, method="HEAD"))
            await connection.answer(without_body=True)
            await connection.send(f"garbage {number}\r\n\r\n".encode())
            assert b" 400 " in await connection.rest()
    await honest_request(service)
    lines = log.events("http.malformed")
    assert 0 < len(lines) < 100
    assert {line["level"] for line in lines} == {"warning"}
