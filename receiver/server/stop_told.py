"""What a stop waits for, told each second to a person at the terminal. The log has its events, and not these lines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from receiver.server.limiter import ConnectionLimiter
from receiver.telemetry import logs
from receiver.telemetry.redaction import now
from receiver.telemetry.short_line import clock

_EVERY_S: Final = 1.0


class StopTold:
    """Begins with `tell`, and ends with the block."""

    def __init__(self, limiter: ConnectionLimiter, within_s: float) -> None:
        self._limiter = limiter
        self._within_s = within_s
        self._telling: asyncio.Task[None] | None = None

    def tell(self, delay_s: float) -> None:
        """A stop has begun: it goes on for `delay_s`, and then waits for requests under way."""
        if logs.tells():
            self._telling = asyncio.create_task(self._tell(delay_s + self._within_s))

    @asynccontextmanager
    async def until_stopped(self) -> AsyncIterator[None]:
        """Silence after the block."""
        try:
            yield
        finally:
            if self._telling is not None:
                self._telling.cancel()
                await asyncio.wait([self._telling])

    async def _tell(self, at_most_s: float) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + at_most_s
        while (left := ends - loop.time()) > _EVERY_S:
            await asyncio.sleep(_EVERY_S)
            connections, busy = len(self._limiter), self._limiter.busy
            logs.tell(
                f"{clock(now())}  stopping · requests under way: {busy} · connections open: {connections} · "
                f"at most {left - _EVERY_S:.0f} s more"
            )
