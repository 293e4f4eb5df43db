"""HTTP by hand: what no client library would send, and what it would hide of the answer."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

DEADLINE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The JSON, or the text where it is none."""
        return self.json if "json" in self.headers["content-type"] else self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, without_body: bool = False) -> Answer:
        """The next answer, without a body to HEAD; `IncompleteReadError` where the server closes instead."""
        async with asyncio.timeout(DEADLINE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.split("\r\n")[:-2]
            pairs = (line.split(":", 1) for line in lines)
            headers = {name.strip().lower(): value.strip() for name, value in pairs}
            length = 0 if without_body else int(headers.get("content-length", "0"))
            body = await self.reader.readexactly(length)
        return Answer(int(status_line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def hang_up(self) -> None:
        """Close without ceremony."""
        self.writer.transport.abort()


@asynccontextmanager
async def wire(url: str, *, address: str | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A connection, from this address of ours (127.0.0.2 is one too) where it matters."""
    parts = urlsplit(url)
    here = None if address is None else (address, 0)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, local_addr=here, ssl=tls)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def head(path: str, *headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    """A request's head; each header as `Name: value`."""
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: receiver.test", *headers, "", "")).encode()


def request(path: str, body: bytes, *headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    """A whole request with its length declared."""
    return head(path, *headers, f"Content-Length: {len(body)}", method=method, version=version) + body


def chunked(path: str, *chunks: bytes) -> bytes:
    """A whole request without a declared length."""
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return head(path, "Transfer-Encoding: chunked") + parts
