"""A bad network between the service and PostgreSQL: a TCP proxy that can be told to misbehave."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Mode = Literal["pass", "cut", "reset", "blackhole", "delay"]
"""`cut`: nobody listens, what was open is closed. `reset`: accepted, then RST. `blackhole`: accepted, and silence."""

_DELAY_S = 0.5
_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards `port` to `target_port` on the loopback, in the way that `set` last said."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._mode: Mode = "pass"
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter | None]] = {}
        self.port = 0
        self.delay_s = _DELAY_S

    async def set(self, mode: Mode) -> None:
        """From now on, also for connections that are open. After a black hole nothing that it swallowed comes back."""
        swallowed = self._mode == "blackhole"
        self._mode = mode
        if mode in ("cut", "reset") or swallowed:
            await self._drop_all(reset=mode == "reset")
        if mode == "blackhole":
            self._passing.clear()
        else:
            self._passing.set()
        if mode == "cut":
            await self._stop_listening()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop_all(self, *, reset: bool) -> None:
        pairs = dict(self._pairs)
        for task, (client, server) in pairs.items():
            if reset:
                client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            for writer in (client, server):
                if writer is not None:
                    writer.transport.abort()
            task.cancel()
        if pairs:
            await asyncio.wait(pairs)

    async def _accepted(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs[task] = client, None
        try:
            if self._mode in ("cut", "reset"):
                client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
                return
            await self._passing.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._pairs[task] = client, far
            ends = [asyncio.create_task(self._pump(reader, far)), asyncio.create_task(self._pump(far_reader, client))]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.wait(ends)
                far.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the server does not listen, or we were told to drop it: the client's end is closed either way
        finally:
            client.transport.abort()
            del self._pairs[task]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self._mode == "delay":
                    await asyncio.sleep(self.delay_s)
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one end is gone; the caller closes the other

    async def close(self) -> None:
        await self._stop_listening()
        await self._drop_all(reset=False)


@asynccontextmanager
async def running(target_port: int) -> AsyncIterator[Proxy]:
    """A proxy that listens and passes everything on."""
    proxy = Proxy(target_port)
    await proxy.set("pass")
    try:
        yield proxy
    finally:
        await proxy.close()
