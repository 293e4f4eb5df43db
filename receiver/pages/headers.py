"""Response headers that keep a page's contents to itself."""

from typing import Final

from aiohttp import hdrs, web

from receiver.web.ops_token import STATIC

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script, no inline style, nothing from elsewhere: a stranger's text that became markup could do nothing."""

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # A page's URL may have a phone number in it. To ourselves it may be told: without it a form's Origin would be null.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler for `on_response_prepare`: answers by exception and streams have the headers too."""
    response.headers.update(_HEADERS)
    is_file = request.path.startswith(STATIC) and response.status < web.HTTPBadRequest.status_code
    caching = "no-cache" if is_file else "no-store"
    response.headers.setdefault(hdrs.CACHE_CONTROL, caching)
