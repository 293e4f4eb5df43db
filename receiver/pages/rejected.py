"""`/rejected/{id}`: a payload that was not understood, byte for byte."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import hdrs, web

from receiver.pages import hexdump
from receiver.pages.rendering import render
from receiver.pages.site import SITE
from receiver.reading.errors import ReadError
from receiver.reading.lists import rejected_body
from receiver.reading.rejected_piece import PIECE, piece_of

_LAST: Final = 2**31 - 1 - PIECE
_GONE: Final = "there is no such payload: it was purged, or is older than the retention"


async def payload(request: web.Request) -> web.Response:
    """`at`: where the piece of the body that is shown begins."""
    rejected_id, at = _id(request), _at(request)
    try:
        found = await piece_of(request.app[SITE].reader, rejected_id, at)
    except ReadError as error:
        response = render(request, "rejected_payload.html", {"problem": str(error), "row": None})
        response.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
        return response
    if found is None:
        raise web.HTTPNotFound(text=_GONE)
    context = {
        "problem": None,
        "row": found.payload,
        "at": at,
        "shown_bytes": len(found.piece),
        "most": PIECE,
        "lines": hexdump.lines(found.piece, at),
        "text": hexdump.text(found.piece),
        "before": max(at - PIECE, 0) if at else None,
        "after": at + PIECE if at + PIECE < found.payload.size else None,
    }
    return render(request, "rejected_payload.html", context)


async def body(request: web.Request) -> web.Response:
    """The whole body as a file."""
    try:
        found = await rejected_body(request.app[SITE].reader, _id(request))
    except ReadError as error:
        raise web.HTTPServiceUnavailable(text=str(error)) from error
    if found is None:
        raise web.HTTPNotFound(text=_GONE)
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="rejected_{found.payload.rejected_id}.bin"'}
    return web.Response(body=found.body, content_type="application/octet-stream", headers=headers)


def _id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["rejected_id"])
    except ValueError:
        raise web.HTTPNotFound(text=_GONE) from None


def _at(request: web.Request) -> int:
    """The offset, rounded down to a line of the dump; 0 if it is no number."""
    text = request.query.get("at", "")
    at = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LAST)) else 0
    return min(at - at % 16, _LAST)
