"""Who may ask an ops listener that has no token: programs, and no page in a browser that can reach it.

A page can send a simple POST anywhere, and can read what it gets from where its own name leads (DNS rebinding). The
first shows in `Origin` and `Sec-Fetch-Site`, which no page can write; the other in `Host`, which is the page's name
then. An IP address as `Host` is safe: it leads nowhere else.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from receiver.addresses import parse_address
from receiver.settings import Settings, variable
from receiver.telemetry.limited_log import LimitedLog

SEC_FETCH_SITE: Final = "Sec-Fetch-Site"

_OURS: Final = frozenset(("same-origin", "none"))
"""A page of this very listener, or somebody who typed the address."""

_WAY_OUT: Final = f"or set {variable('ops_token')}"
_CROSS_SITE: Final = f"a page of another site asks for this: let a program ask, {_WAY_OUT}"
_STRANGE_HOST: Final = (
    f"nobody calls this listener by that Host: name it in {variable('ops_allowed_hosts')}, {_WAY_OUT}"
)


def guard(settings: Settings, open_paths: frozenset[str]) -> Middleware:
    """Answers 403 where a page might be asking, but for what is open to everybody."""
    names = frozenset(("localhost", _name(settings.ops_host), *map(_name, settings.ops_allowed_hosts)))
    lines = LimitedLog()

    @web.middleware
    async def refuse_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths or (why := _objection(request, names)) is None:
            return await handler(request)
        lines.warning("ops.refused", error=why, host=request.headers.get(hdrs.HOST), remote=request.remote)
        return web.json_response({"error": why}, status=403)

    return refuse_pages


def _objection(request: web.Request, names: frozenset[str]) -> str | None:
    """Why the request may be a page's, if it may be."""
    host = request.headers.get(hdrs.HOST, "")
    if host and not _is_known(_name(host), names):
        return _STRANGE_HOST
    origin = request.headers.get(hdrs.ORIGIN)
    is_cross_site = request.headers.get(SEC_FETCH_SITE, "none").lower() not in _OURS
    return _CROSS_SITE if is_cross_site or (origin is not None and _authority(origin) != host.lower()) else None


def _is_known(name: str, names: frozenset[str]) -> bool:
    return name in names or name.endswith(".localhost") or parse_address(name.partition("%")[0]) is not None


def _authority(origin: str) -> str | None:
    """Host and port; None for `null` and whatever else is no origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name(host: str) -> str:
    """A host without its port, its brackets and the dot of the root."""
    name = (
        host[1:].partition("]")[0] if host.startswith("[") else host if host.count(":") > 1 else host.partition(":")[0]
    )
    return name.lower().removesuffix(".")
