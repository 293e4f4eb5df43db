"""A relay on the loopback that counts what goes through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 1 << 16


@dataclass(slots=True)
class Relay:
    """Bytes that clients sent, and that they received; those of TCP and IP are not in it."""

    port: int
    sent: int = 0
    received: int = 0

    def taken(self) -> tuple[int, int]:
        """What has been sent and received since the last call."""
        found = self.sent, self.received
        self.sent = self.received = 0
        return found


@asynccontextmanager
async def relaying(target: int) -> AsyncIterator[Relay]:
    """A port that leads to the port `target`."""
    relay = Relay(0)
    open_now: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_now.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", target)
        try:
            await asyncio.gather(_pass_on(reader, back, relay, "sent"), _pass_on(there, writer, relay, "received"))
        except asyncio.CancelledError:
            return  # the block has ended; asyncio's streams would log it
        finally:
            open_now.discard(task)
            back.close()
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, relay: Relay, name: str) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(_CHUNK):
            setattr(relay, name, getattr(relay, name) + len(piece))
            writer.write(piece)
            await writer.drain()
    writer.close()
