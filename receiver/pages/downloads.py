"""`/messages.csv` and the others: a list as a file, read from PostgreSQL row by row while the browser takes it.

An error before the first rows becomes a page. After them the connection is aborted, as a proper end would make half a
file look whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from aiohttp import hdrs, web

from receiver.pages.progress import Progress
from receiver.pages.site import SITE
from receiver.reading import export
from receiver.reading.errors import PoolBusy, ReadError
from receiver.reading.export import Chunk
from receiver.reading.filters import FilterError, Filters
from receiver.reading.formats import BOM, MEDIA_TYPES
from receiver.reading.reader import Reader
from receiver.server.protocol import SERVER
from receiver.telemetry.logs import get_logger

_LOOK_S: Final = 1.0
"""How often it is looked whether the browser is still there, while PostgreSQL is asked."""

_PAUSE_S: Final = 0.05
"""Longest pause after some rows: as long as the process was busy meanwhile, so that callbacks come first."""

_RETRY_S: Final = "30"
_BUSY: Final = "as many downloads are under way as there may be at once: try again when one of them is over"

T = TypeVar("T")

log = get_logger()


class Gone(Exception):
    """The browser has gone away."""


def of(kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a list's file, with the list's own filters in the query."""

    async def download(request: web.Request) -> web.StreamResponse:
        now = datetime.now(UTC)
        try:
            filters = Filters.parse(request.query)
            export.check(kind, filters)
        except FilterError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        transport = request.transport
        if transport is None:
            return web.Response()  # it is gone
        with request.app[SITE].downloads.running(request.query.get("download", ""), transport) as progress:
            return await _send(request, kind, filters, now, progress)

    return download


async def progress(request: web.Request) -> web.Response:
    """`/downloads/{id}`: how far a download is, as JSON."""
    found = request.app[SITE].downloads.of(request.match_info["download"])
    if found is None:
        return web.json_response({"error": "no download has this id"}, status=404)
    return web.json_response({"rows": found.rows, "about": found.about, "state": found.state})


async def _send(
    request: web.Request, kind: str, filters: Filters, now: datetime, progress: Progress
) -> web.StreamResponse:
    reader = request.app[SITE].reader
    response = web.StreamResponse(headers=_headers(kind, filters, now))
    try:
        masked = filters.number is None
        async with export.exporting(reader, kind, filters, "csv", now=now, masked=masked) as chunks:
            await _stream(request, response, chunks, _about(request, reader, kind, filters, now), progress)
        progress.state = "done"
    except (ConnectionError, Gone):
        log.info("download.left", list=kind, rows=progress.rows)
    except ReadError as error:
        if not response.prepared:
            raise _refusal(error) from error
        log.warning("download.failed", list=kind, rows=progress.rows, detail=str(error))
    finally:
        if progress.state != "done" and response.prepared and request.transport is not None:
            request.transport.abort()  # a proper end would make half a file look whole
    return response


async def _stream(
    request: web.Request,
    response: web.StreamResponse,
    chunks: AsyncIterator[Chunk],
    about: Awaitable[int | None],
    progress: Progress,
) -> None:
    header = await anext(chunks)
    chunk = await _unless_gone(request, _next(chunks))
    progress.about = await about
    await response.prepare(request)
    await response.write(BOM + header.data)
    while chunk is not None:
        began = time.thread_time()
        await response.write(chunk.data)
        progress.rows += chunk.rows
        chunk = await _unless_gone(request, _next(chunks))
        await asyncio.sleep(min(time.thread_time() - began, _PAUSE_S))
    await response.write_eof()


async def _about(request: web.Request, reader: Reader, kind: str, filters: Filters, now: datetime) -> int | None:
    """Only for a page that asks how far it is."""
    if "download" not in request.query:
        return None
    try:
        return await export.about(reader, kind, filters, now=now)
    except ReadError:
        return None


async def _next(chunks: AsyncIterator[Chunk]) -> Chunk | None:
    return await anext(chunks, None)


async def _unless_gone(request: web.Request, asked: Awaitable[T]) -> T:
    """The result, unless the browser disconnects first. Raises Gone."""
    task = asyncio.ensure_future(asked)
    try:
        while not (await asyncio.wait([task], timeout=_LOOK_S))[0]:
            if request.transport is None or request.transport.is_closing():
                raise Gone
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _headers(kind: str, filters: Filters, now: datetime) -> dict[str, str]:
    since, until = export.period_of(kind, filters, now)
    name = f"{kind}_{since:%Y%m%dT%H%M}_{until:%Y%m%dT%H%M}.csv"
    return {
        hdrs.CONTENT_TYPE: MEDIA_TYPES["csv"],
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
        hdrs.SERVER: SERVER,
    }


def _refusal(error: ReadError) -> web.HTTPError:
    if isinstance(error, PoolBusy):
        return web.HTTPServiceUnavailable(text=_BUSY, headers={hdrs.RETRY_AFTER: _RETRY_S})
    return web.HTTPServiceUnavailable(text=str(error))
