"""Errors as pages for a browser; programs get them as before."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from receiver.pages.rendering import render


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks: programs do not name HTML in `Accept`."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that renders an HTTP error as a page, if a browser asks."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        if not wants_page(request):
            raise
        said = (error.text or "").removeprefix(f"{error.status}: ") or error.reason
        page = render(request, "error.html", {"status": error.status, "reason": error.reason, "said": said})
        page.set_status(error.status)
        return page
