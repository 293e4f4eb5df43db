"""aiohttp's private names still mean what we take them for: a case each, so that an upgrade tells which one moved."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from aiohttp import web
from support.waiting import eventually

from receiver.server.protocol import Connection, RequestProtocol

KEEPALIVE_S = 50.0
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
BODY = b"abc"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@dataclass
class Exchange:
    """A connection whose requests are worked on until `answers` is set."""

    protocol: RequestProtocol
    transport: Transport
    answers: asyncio.Event

    async def answered(self) -> None:
        """Let it answer, and wait for that."""
        self.answers.set()
        await eventually(self._is_answered)

    def _is_answered(self) -> bool:
        return b"200 OK" in self.transport.written and self.protocol.waits_for_request


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    answers = asyncio.Event()

    async def work(_request: web.BaseRequest) -> web.Response:
        await answers.wait()
        return web.Response()

    server = web.Server(work)
    loop = asyncio.get_running_loop()
    protocol = RequestProtocol(server, loop=loop, keepalive_timeout=KEEPALIVE_S, access_log=None)  # type: ignore[arg-type]
    made = Exchange(protocol, Transport(), answers)
    protocol.connection_made(made.transport)
    await asyncio.sleep(0)
    yield made
    answers.set()
    protocol.connection_lost(None)
    await eventually(lambda: not server.connections)


async def loop(exchange: Exchange) -> None:
    assert exchange.protocol.loop is asyncio.get_running_loop()


async def heads_parsed(exchange: Exchange) -> None:
    exchange.protocol.data_received(REQUEST[:-1])
    assert exchange.protocol.heads_parsed == 0, "a head that is not there yet is not counted"
    exchange.protocol.data_received(REQUEST[-1:])
    assert exchange.protocol.heads_parsed == 1, "a head is counted before its body has come"
    exchange.protocol.data_received(BODY + REQUEST + BODY)
    assert exchange.protocol.heads_parsed == 2, "it never goes down"


async def queued(exchange: Exchange) -> None:
    assert not exchange.protocol.queued
    exchange.protocol.data_received(REQUEST + BODY + REQUEST + BODY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert exchange.protocol.queued, "the first is worked on, the second waits"
    await exchange.answered()
    await eventually(lambda: not exchange.protocol.queued)


async def last_queued(exchange: Exchange) -> None:
    exchange.protocol.data_received(REQUEST)
    _, body = exchange.protocol.queued[-1]
    assert not body.is_eof(), "its end has not come"
    exchange.protocol.data_received(BODY)
    assert body.is_eof()


async def waits_for_request(exchange: Exchange) -> None:
    await eventually(lambda: exchange.protocol.waits_for_request)
    exchange.protocol.data_received(REQUEST + BODY)
    await eventually(lambda: not exchange.protocol.waits_for_request)
    await exchange.answered()
    assert exchange.protocol.waits_for_request


async def last_answer_at(exchange: Exchange) -> None:
    before = exchange.protocol.loop.time()
    exchange.protocol.data_received(REQUEST + BODY)
    await exchange.answered()
    assert before <= exchange.protocol.last_answer_at <= exchange.protocol.loop.time()


async def reading_paused(exchange: Exchange) -> None:
    size = 1024 * 1024
    exchange.protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    _, body = exchange.protocol.queued[-1]
    while not body.is_eof():
        exchange.protocol.data_received(b"x" * 64 * 1024)
        if exchange.transport.paused:
            size -= len(body.read_nowait())
            assert not exchange.transport.paused, "what is read makes room"
    assert size < 1024 * 1024, "a body that nobody reads is not taken in"
    assert size - len(body.read_nowait()) == 0


async def stop_parsing(exchange: Exchange) -> None:
    exchange.protocol.stop_parsing()
    exchange.protocol.data_received(REQUEST + BODY)
    assert exchange.protocol.heads_parsed == 0
    assert not exchange.protocol.queued


MEANINGS: dict[str, Callable[[Exchange], Awaitable[None]]] = {
    "_loop is the event loop": loop,
    "_request_count counts the heads that were parsed": heads_parsed,
    "_messages holds the requests that nobody has begun with": queued,
    "_messages[-1][1] is the body of the last request": last_queued,
    "_waiter is there only while the next request is waited for": waits_for_request,
    "_next_keepalive_close_time less _keepalive_timeout is when the last answer was done": last_answer_at,
    "_reading_paused is set while a body waits to be read": reading_paused,
    "_force_close keeps it from parsing": stop_parsing,
}


@pytest.mark.parametrize("name", MEANINGS)
async def test_a_private_name_means_what_it_did(exchange: Exchange, name: str) -> None:
    await MEANINGS[name](exchange)


def test_our_own_connection_neither_uses_nor_hides_a_private_name_of_aiohttps() -> None:
    used = set(re.findall(r"(?<!\w)self\.(_[a-z]\w*)", inspect.getsource(Connection)))
    assert used
    assert used.isdisjoint(dir(web.RequestHandler))
