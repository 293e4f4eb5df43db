"""A channel between the supervisor and a worker: lines of JSON over a pair of sockets."""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final

import orjson

from receiver.workers.messages import Message

_LINE_BYTES: Final = 1 << 30
"""Longest line: a page of the spool has at least one callback, of any size that the settings allow."""


class Channel:
    """One end. The other end's death is the end of its messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, one: socket.socket) -> "Channel":
        """The channel over one socket of a pair, which it owns from now on."""
        return cls(*await asyncio.open_unix_connection(sock=one, limit=_LINE_BYTES))

    def send(self, message: Message) -> None:
        """Send without waiting; nothing happens if the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None once the other end is gone."""
        with suppress(ConnectionError):
            line = await self._reader.readline()
            if line.endswith(b"\n"):
                message: dict[str, Any] = orjson.loads(line)
                return message
        return None

    async def close(self) -> None:
        """Close it, after everything that was sent has been taken or the other end is gone."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
