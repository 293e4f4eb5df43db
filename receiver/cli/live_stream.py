"""The live stream of a running service, through its restarts."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from receiver.cli.running_service import NoAnswer, ops_response
from receiver.settings import Settings
from receiver.web.live_filter import MOST_LAST

CONNECTED, ROW, SAMPLED, HEARTBEAT = "connected", "message", "sampled", "heartbeat"

_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt to connect again; the last one is that of all further attempts."""

_REMEMBERED: Final = 2_000


class Told(NamedTuple):
    """One event of the stream: `kind` is one of the names above; a row or a sample has `data`."""

    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class LiveStream:
    """`filters` as in the stream's URL; `say` tells of interruptions; without a `url` the settings have it."""

    settings: Settings
    filters: Sequence[tuple[str, str]]
    say: Callable[[str], object]
    url: str | None = None
    _known: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    async def events(self, last: int) -> AsyncGenerator[Told]:
        """The last rows, then rows as they are kept, and those of a moment without connection after it.

        Raises NoAnswer if there is no service at first, or if it refuses to tell.
        """
        failures = 0
        once = False
        while True:
            try:
                async with aclosing(self._connection(last)) as told:
                    async for one in told:
                        if once and one.kind == CONNECTED:
                            self.say("Connected again.")
                        once, failures = True, 0
                        if one.kind != ROW or self._is_new(one.data["id"]):
                            yield one
                why = "The service has ended the stream"
            except NoAnswer as error:
                if not once or error.is_refusal:
                    raise
                why = str(error)
            if not failures:
                self.say(f"{why}; connecting again …")
            last = MOST_LAST
            await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1

    def _is_new(self, row: str) -> bool:
        is_new = row not in self._known
        if is_new:
            self._known.append(row)
        return is_new

    async def _connection(self, last: int) -> AsyncGenerator[Told]:
        query = urlencode([*self.filters, ("last", last)])
        async with ops_response(self.settings, f"/live/events?{query}", self.url) as response:
            yield Told(CONNECTED, {})
            async for one in _parsed(response.content):
                yield one


async def _parsed(lines: AsyncIterable[bytes]) -> AsyncIterator[Told]:
    """Server-sent events; of their fields those that the service sends (HTML standard, section 9.2.6)."""
    kind, data = ROW, ""
    async for line in lines:
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if name == "event":
            kind = value.strip()
        elif name == "data":
            data = value
        elif not name and value:
            yield Told(HEARTBEAT, {})
        elif not name and data:
            yield Told(kind, json.loads(data))
            kind, data = ROW, ""
