"""Server-sent events as a browser reads them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from support.waiting import DEADLINE_S

Event = tuple[str, dict[str, Any]]
"""Its type, `message` unless it is named, and its JSON."""


def parsed(block: bytes) -> list[Event]:
    """The events of whole blocks."""
    found = []
    for text in block.decode().replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.split("\n") if line and line[0] != ":")
        if "data" in fields:
            found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Events as they come, until the stream ends. Raises TimeoutError."""
    rest = b""
    async with asyncio.timeout(DEADLINE_S):
        async for chunk in response.content.iter_any():
            whole, gap, rest = (rest + chunk).replace(b"\r\n", b"\n").rpartition(b"\n\n")
            for event in parsed(whole + gap):
                yield event
