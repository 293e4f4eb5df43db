"""`GET /live/events`: the rows that are kept, as server-sent events."""

import asyncio
from contextlib import aclosing
from typing import Final

from aiohttp import hdrs, web
from aiohttp_sse import EventSourceResponse

from receiver.server.protocol import SERVER
from receiver.web.live import MOST_WATCHERS, Live, TooManyWatchers
from receiver.web.live_filter import Filter, WrongFilter, parse

PATH: Final = "/live/events"

_HEARTBEAT_S: Final = 10.0

_TAKE_S: Final = 5.0
"""A watcher that takes nothing for this long, with the buffers full, is dropped."""

_BEGIN: Final = b"retry: 2000\n\n"
"""A browser comes back after so many milliseconds. The head of the answer goes out with it."""


def add_routes(app: web.Application, live: Live) -> None:
    """The stream, which ends when the listener stops."""

    async def events(request: web.Request) -> web.StreamResponse:
        try:
            wanted, last = parse(request.query.items())
        except WrongFilter as error:
            return web.json_response({"error": str(error)}, status=400)
        if request.transport is None:
            return web.Response()  # it is gone
        try:
            with live.place(request.transport, wanted):
                return await _stream(request, request.transport, live, wanted, last)
        except TooManyWatchers:
            why = f"{MOST_WATCHERS} watch already, which is the most: close a page or end a `receiver tail`"
            return web.json_response({"error": why}, status=503)

    async def close(_app: web.Application) -> None:
        live.close()

    app.router.add_get(PATH, events, allow_head=False)
    app.on_shutdown.append(close)


async def _stream(
    request: web.Request, transport: asyncio.Transport, live: Live, wanted: Filter, last: int
) -> web.StreamResponse:
    response = EventSourceResponse(headers={"Server": SERVER}, ping_interval=_HEARTBEAT_S, send_timeout=_TAKE_S)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    await response.prepare(request)
    async with response, aclosing(live.blocks(wanted, last)) as blocks:
        if await _is_taken(response, transport, _BEGIN):
            async for block in blocks:
                if transport.is_closing() or (block and not await _is_taken(response, transport, block)):
                    break
    return response


async def _is_taken(response: web.StreamResponse, transport: asyncio.Transport, block: bytes) -> bool:
    try:
        async with asyncio.timeout(_TAKE_S):
            await response.write(block)
    except TimeoutError:
        transport.abort()
        return False
    except ConnectionError:
        return False
    return True
