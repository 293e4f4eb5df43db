"""Keeps web pages off an ops listener without a token; programs may call it.

A page in a browser that reaches the listener can send a simple POST anywhere (CSRF), and can read answers of hosts that
its own name resolves to (DNS rebinding). The first shows in `Origin` and `Sec-Fetch-Site`, which a page cannot set; the
second in `Host`, which then has the page's name. An IP address as `Host` is safe, as it cannot be rebound.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from receiver.addresses import parse_address
from receiver.settings import Settings, variable
from receiver.telemetry.limited_log import LimitedLog

SEC_FETCH_SITE: Final = "Sec-Fetch-Site"

_OWN_SITE: Final = frozenset(("same-origin", "none"))
"""Values for a page of this listener, and for an address that was typed in."""

_WAY_OUT: Final = f"or set {variable('ops_token')}"
_CROSS_SITE: Final = f"a page of another site asks for this: let a program ask, {_WAY_OUT}"
_STRANGE_HOST: Final = (
    f"nobody calls this listener by that Host: name it in {variable('ops_allowed_hosts')}, {_WAY_OUT}"
)


def guard(settings: Settings, open_paths: frozenset[str]) -> Middleware:
    """Middleware that answers 403 to requests that may come from a web page, except on the open paths."""
    names = frozenset(("localhost", _name(settings.ops_host), *map(_name, settings.ops_allowed_hosts)))
    lines = LimitedLog()

    @web.middleware
    async def refuse_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths or (why := _suspicion(request, names)) is None:
            return await handler(request)
        lines.warning("ops.refused", error=why, host=request.headers.get(hdrs.HOST), remote=request.remote)
        return web.json_response({"error": why}, status=403)

    return refuse_pages


def _suspicion(request: web.Request, names: frozenset[str]) -> str | None:
    """Why the request may come from a web page; None if it cannot."""
    host = request.headers.get(hdrs.HOST, "")
    if host and not _is_known(_name(host), names):
        return _STRANGE_HOST
    origin = request.headers.get(hdrs.ORIGIN)
    is_cross_site = request.headers.get(SEC_FETCH_SITE, "none").lower() not in _OWN_SITE
    return _CROSS_SITE if is_cross_site or (origin is not None and _authority(origin) != host.lower()) else None


def _is_known(name: str, names: frozenset[str]) -> bool:
    return name in names or name.endswith(".localhost") or parse_address(name.partition("%")[0]) is not None


def _authority(origin: str) -> str | None:
    """Host and port; None for `null` and for malformed origins."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name(host: str) -> str:
    """The host in lower case, without port, brackets and a trailing dot."""
    name = (
        host[1:].partition("]")[0] if host.startswith("[") else host if host.count(":") > 1 else host.partition(":")[0]
    )
    return name.lower().removesuffix(".")
