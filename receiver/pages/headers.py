"""Response headers that keep a page's contents to itself."""

from typing import Final

from aiohttp import hdrs, web

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

_STATIC: Final = "/static/"


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler for `on_response_prepare`: answers by exception and streams have the headers too."""
    response.headers.update(_HEADERS)
    caching = "no-cache" if request.path.startswith(_STATIC) else "no-store"
    response.headers.setdefault(hdrs.CACHE_CONTROL, caching)
