"""The listener's own TLS under strangers who open connections and never finish the handshake."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from support import service as services
from support.capture import captured_log
from support.certificates import HOST, client, issue
from support.dialects import good_body
from support.https import client_hello
from support.service import Service
from support.waiting import eventually
from support.wire import Wire, request, wire

from receiver.server import tls as server_tls
from receiver.settings import Settings

PATH = "huawei/report"
STRANGER = "127.0.0.2"
MOST = 8
"""Connections, so many who have not sent a whole ClientHello, and half as many handshakes."""

MANY = 40
HELLO = client_hello()


@dataclass(frozen=True)
class Site:
    """A service with TLS, and what an honest client of it trusts."""

    service: Service
    context: ssl.SSLContext

    async def honest(self, name: str, *, address: str | None = None) -> int:
        """The status of a push on a connection of its own."""
        async with wire(self.service.url, address=address) as connection:
            return await self.speak(connection, name)

    async def speak(self, connection: Wire, name: str) -> int:
        """The same on one that said nothing yet."""
        await connection.writer.start_tls(self.context, server_hostname=HOST)
        await connection.send(request(f"/callback/{PATH}", good_body(PATH, name)))
        return (await connection.answer()).status

    @asynccontextmanager
    async def strangers(self, number: int, said: bytes, *, address: str = STRANGER) -> AsyncIterator[list[Wire]]:
        async with AsyncExitStack() as stack:
            made = []
            for _ in range(number):
                made.append(await stack.enter_async_context(wire(self.service.url, address=address)))
                await made[-1].send(said)
            yield made

    async def ended(self, cause: str) -> float:
        return await self.service.metric(f'receiver_connections_ended_total{{cause="{cause}"}}')


@pytest.fixture
def serving(make_settings: Callable[..., Settings], tmp_path: Path) -> Callable[..., AsyncIterator[Site]]:
    authority = trustme.CA()
    pair = issue(authority, tmp_path, "server")

    @asynccontextmanager
    async def run(**changes: object) -> AsyncIterator[Site]:
        settings = make_settings(tls_certificate=str(pair.certificate), tls_key=str(pair.key), **changes)
        async with services.running(settings) as service:
            yield Site(service, client(authority))

    return run


@pytest.mark.parametrize(
    "said", [b"", HELLO[:1], HELLO[:-1], HELLO], ids=["silent", "a byte", "not a whole ClientHello", "a ClientHello"]
)
async def test_unfinished_handshakes_keep_nobody_out(serving, said):
    async with serving(max_connections=MOST) as site, site.strangers(MANY, said) as strangers:
        for number in range(5):
            assert await site.honest(f"honest-{number}") == 200
        async with asyncio.timeout(5):  # half of what a handshake has
            ended = [await one.rest() for one in strangers[: MANY - MOST]]
        assert all(one == b"" or said == HELLO for one in ended), "the oldest gave way"
        assert await site.ended("gave_way") >= MANY - MOST


async def test_handshakes_that_stop_half_way_take_no_place_of_those_who_are_yet_to_speak(serving):
    async with serving(max_connections=MOST) as site, site.strangers(MOST - 1, b"") as silent:
        async with site.strangers(MANY, HELLO, address="127.0.0.3"):
            assert await site.honest("honest") == 200
        assert [await site.speak(one, f"late-{number}") for number, one in enumerate(silent)] == [200] * len(silent)


async def test_a_flood_from_one_address_pushes_out_its_own_first(serving):
    async with (
        serving(max_connections=MOST) as site,
        site.strangers(1, b"", address="127.0.0.3") as (quiet,),
        site.strangers(MANY, b""),
    ):
        assert await site.speak(quiet, "quiet") == 200


async def test_the_limit_of_an_address_is_asked_before_the_handshake(serving):
    limits = {"max_connections_per_address": 3, "trusted_proxies": "127.0.0.9"}
    async with serving(**limits) as site, site.strangers(3, HELLO) as strangers:
        await eventually(lambda: _refused(site))
        assert await site.honest("neighbour", address="127.0.0.3") == 200
        async with site.strangers(9, HELLO, address="127.0.0.9"):
            assert await site.honest("of-a-proxy", address="127.0.0.9") == 200
        assert await site.ended("gave_way") == 0
        strangers[0].hang_up()
        await eventually(lambda: _let_in(site))


async def _refused(site: Site) -> bool:
    with pytest.raises(OSError, match=r".*"):
        await site.honest("one-too-many", address=STRANGER)
    return await site.ended("full_for_address") > 0


async def _let_in(site: Site) -> bool:
    try:
        return await site.honest("again", address=STRANGER) == 200
    except OSError:
        return False


async def test_at_the_limit_of_an_address_its_own_silent_ones_give_way(serving):
    async with serving(max_connections_per_address=3) as site, site.strangers(3, b"") as silent:
        assert await site.honest("honest", address=STRANGER) == 200
        assert await silent[0].rest() == b""
        assert await site.ended("full_for_address") == 0


async def test_a_client_hello_may_come_in_pieces(serving):
    async with serving() as site, wire(site.service.url) as connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = site.context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        for byte in outgoing.read():
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.001)
        while True:
            async with asyncio.timeout(5):
                incoming.write(await connection.reader.read(65_536))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
        assert tls.version() == "TLSv1.3"


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x00"],
    ids=["HTTP", "too long", "empty"],
)
async def test_what_is_no_client_hello_is_not_waited_for(serving, said, monkeypatch):
    """Where OpenSSL waits for more all the same, a handshake's own time ends it."""
    monkeypatch.setattr(server_tls, "HANDSHAKE_TIMEOUT_S", 0.5)
    async with serving(header_timeout_s=60.0) as site, site.strangers(1, said) as (stranger,):
        await stranger.rest()
        assert await site.ended("slow_head") == 0


async def test_who_says_nothing_is_shown_out(serving):
    async with serving(header_timeout_s=0.3) as site, site.strangers(3, b"") as silent:
        assert [await one.rest() for one in silent] == [b""] * 3
        assert await site.ended("slow_head") == 3
        assert await site.honest("afterwards") == 200


async def test_who_hangs_up_before_a_word_leaves_nothing_behind(serving):
    with captured_log() as log:
        async with serving(max_connections=MOST) as site:
            async with site.strangers(MANY, b"") as silent:
                for one in silent:
                    one.hang_up()
            assert await site.honest("afterwards") == 200
    assert "Traceback" not in log.text
    assert log.events("listener.paused") == []
