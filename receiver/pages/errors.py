"""Errors as pages for a browser; programs get them as before."""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from receiver.pages.rendering import render
from receiver.telemetry.limited_log import LimitedLog
from receiver.web.ops_refusals import NotSignedIn, Refusal, wants_page

__all__ = ["explain_errors", "wants_page"]

_FAILED: Final = "something went wrong here; the log says what"
_OF_THE_BODY: Final = (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH)

_lines = LimitedLog()


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that renders an error as a page, if a browser asks."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        if not wants_page(request):
            raise
        return _page(request, error)
    except web.HTTPRedirection:
        raise
    except Exception as error:
        if not wants_page(request) or request.writer.output_size:  # half an answer cannot be taken back
            raise
        _lines.error("ops.page_failed", path=_route(request), exc_info=error)
        return _page(request, web.HTTPInternalServerError(text=_FAILED))


def _page(request: web.Request, error: web.HTTPError) -> web.Response:
    """With the error's headers, such as `Allow` and `Retry-After`."""
    said = error.why if isinstance(error, Refusal) else (error.text or "").removeprefix(f"{error.status}: ")
    context = {
        "status": error.status,
        "reason": error.reason,
        "said": said or error.reason,
        "is_signed_out": isinstance(error, NotSignedIn),
    }
    page = render(request, "error.html", context)
    page.set_status(error.status)
    page.headers.extend((name, value) for name, value in error.headers.items() if name not in _OF_THE_BODY)
    return page


def _route(request: web.Request) -> str | None:
    """As it is registered: what stands in its place may be a number."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else None
