"""HTTPS one request at a time, with what aiohttp's client hides: sessions and the server's certificate."""

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support.certificates import HOST
from support.wire import DEADLINE_S, request


@dataclass(frozen=True)
class Reply:
    """`session` is for the next connection; `resumed` tells whether this one came of an earlier one."""

    status: int
    answer: Any
    session: ssl.SSLSession
    resumed: bool


def client_hello(name: str = HOST) -> bytes:
    """What a client sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def post(
    url: str, path: str, body: bytes, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Reply:
    """On a connection of its own. Raises OSError where the handshake fails."""
    return await asyncio.to_thread(_post, url, path, body, context, session)


def _post(url: str, path: str, body: bytes, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Reply:
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=HOST, session=session) as tls,
    ):
        tls.sendall(request(f"/callback/{path}", body, "Connection: close"))
        said = b"".join(iter(lambda: tls.recv(65_536), b""))
        head, _, rest = said.partition(b"\r\n\r\n")
        return Reply(int(head.split()[1]), json.loads(rest), tls.session, bool(tls.session_reused))


async def serial(url: str, context: ssl.SSLContext) -> str:
    """Of the certificate that a new connection gets."""
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context, server_hostname=HOST)
    try:
        return str(writer.get_extra_info("peercert")["serialNumber"])
    finally:
        writer.transport.abort()
