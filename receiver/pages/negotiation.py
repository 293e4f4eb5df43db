"""Pages at URLs that programs ask for JSON: a browser gets the page, a program the JSON."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from receiver.pages.errors import wants_page

_READING: Final = frozenset(("GET", "HEAD"))


def pages_for_browsers(pages: Mapping[str, Handler]) -> Middleware:
    """Middleware that answers a browser with the page of its path, where there is one."""

    @web.middleware
    async def negotiate(request: web.Request, handler: Handler) -> web.StreamResponse:
        page = pages.get(request.path)
        asks_for_it = page is not None and request.method in _READING and wants_page(request)
        return await (page if page is not None and asks_for_it else handler)(request)

    return negotiate
