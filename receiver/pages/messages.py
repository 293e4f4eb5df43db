"""`/messages`: the messages of a period, or those found by a number, an id or a correlation."""

from aiohttp import web

from receiver.pages.asked import Asked, Seen, seen, show
from receiver.pages.rendering import segment
from receiver.pages.site import SITE
from receiver.reading import messages, search
from receiver.reading.errors import ReadError
from receiver.reading.filters import Filters
from receiver.reading.paging import Page
from receiver.reading.reader import Reader
from receiver.reading.rows import Message

_PATH = "/messages"
_TEMPLATE = "messages.html"


async def listing(request: web.Request) -> web.StreamResponse:
    """`q` is the text of a search; the answer redirects to the list or the message that it means."""
    asked = Asked.of(request)
    text = asked.value("q")
    if text and not asked.problems:
        return await _search(request, asked, text)
    return show(request, _TEMPLATE, asked, await seen(request, asked, _read), searched=_searched(asked))


async def _read(reader: Reader, asked: Asked) -> Page[Message]:
    return await messages.listed(reader, asked.filters, now=asked.now, older=asked.older)


async def _search(request: web.Request, asked: Asked, text: str) -> web.StreamResponse:
    reader = request.app[SITE].reader
    try:
        meant = await search.meaning(reader, text, asked.filters, asked.now)
        only = await _only_one(reader, meant, asked) if meant else None
    except ReadError as error:
        return show(request, _TEMPLATE, asked, Seen.failed(error), searched=text)
    if only is not None:
        raise web.HTTPFound(f"{_PATH}/{segment(only.provider)}/{segment(only.message_id)}")
    if meant is not None:
        raise web.HTTPFound(meant.link(_PATH))
    return show(request, _TEMPLATE, asked, Seen.empty(), searched=text)


async def _only_one(reader: Reader, meant: Filters, asked: Asked) -> Message | None:
    """The message of an id that one platform has given."""
    if meant.message_id is None:
        return None
    rows = (await messages.listed(reader, meant, now=asked.now)).rows
    return rows[0] if len({row.provider for row in rows}) == 1 else None


def _searched(asked: Asked) -> str:
    """The text in the field of the search."""
    return next((text for name in ("q", "number", "message_id", "correlation") if (text := asked.value(name))), "")
