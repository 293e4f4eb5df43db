"""`receiver simulate` where nothing answers: it sends nothing, and says in one sentence why, and what to do."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from support.certificates import issue
from support.command import receiver

from receiver.simulate.probe import NothingAnswers, probe
from receiver.simulate.send import Target

PATH = "huawei/report"


async def trouble(url: str, **options: object) -> str:
    """The sentence behind the address."""
    with pytest.raises(NothingAnswers) as caught:
        await probe(Target(url=url, **({"timeout_s": 5.0} | options)), PATH)
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    return said.partition(" ")[2]


@asynccontextmanager
async def raw(answer: bytes) -> AsyncIterator[int]:
    """A port at which this is said to everybody, and the connection closed."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def answering(status: int, *, tls: ssl.SSLContext | None = None, **headers: str) -> AsyncIterator[str]:
    """An address at which every request gets this answer."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server(ssl=tls)
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def test_no_listener_and_no_name(unused_tcp_port: int, tmp_path) -> None:
    url = f"http://user:secret@127.0.0.1:{unused_tcp_port}/secret"
    said = await trouble(url)
    assert said == "cannot be reached (Connection refused): start `receiver serve`, or correct --url"
    run = await receiver("simulate", "huawei", "--url", url, "--json", folder=tmp_path)
    assert run.out == ""
    assert run.complaint == f"http://127.0.0.1:{unused_tcp_port} {said}"
    assert "name is not resolved: correct --url" in await trouble("http://nowhere.invalid")


async def test_a_listener_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = await trouble(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
    assert said.startswith("does not answer within 0.2 s: correct --url")


async def test_another_program() -> None:
    async with raw(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert await trouble(f"http://127.0.0.1:{port}") == "does not speak HTTP: correct --url"
        assert "is it http:// instead?" in await trouble(f"https://127.0.0.1:{port}")


async def test_tls_on_one_side_alone_and_a_certificate_of_nobody(tmp_path) -> None:
    authority = trustme.CA()
    pair = issue(authority, tmp_path, "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    async with answering(200, tls=context) as url:
        said = await trouble(url)
        assert said.startswith("has a certificate that is not trusted (unable to get local issuer certificate)")
        assert "SSL_CERT_FILE" in said
        assert "is it https:// instead" in await trouble(url.replace("https", "http"))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, "RECEIVER_CALLBACK_TOKENS has to be given with --token"),
        (403, "has to be in RECEIVER_ALLOWED_ADDRESSES"),
        (401, "give its key pair with --sign"),
        (502, "see its log"),
    ],
)
async def test_a_refusal_says_what_is_missing(status: int, advice: str) -> None:
    async with answering(status) as url:
        said = await trouble(url, token="secret")
    assert said.startswith(f"answers {status}: ")
    assert advice in said


async def test_a_redirection_says_where_to_and_not_the_whole_url() -> None:
    async with answering(301, Location="https://other.example/callback/secret") as url:
        assert await trouble(url) == "answers 301 and points to https://other.example: give that with --url"


async def test_a_server_that_does_not_know_head_may_know_post() -> None:
    async with answering(405) as url:
        await probe(Target(url=url), PATH)
