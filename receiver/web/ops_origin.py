"""Keeps web pages of others off the ops listener; programs may call it.

A page in a browser that reaches the listener can send a simple POST anywhere (CSRF), and can read answers of hosts that
its own name resolves to (DNS rebinding). The first shows in `Origin` and `Sec-Fetch-Site`, which a page cannot set; the
second in `Host`, which then has the page's name. An IP address as `Host` is safe, as it cannot be rebound.

A link from elsewhere is followed: the page that has it sees nothing of the answer, and no GET changes anything.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from receiver.addresses import parse_address
from receiver.server.protocol import remote_of
from receiver.settings import Settings, variable
from receiver.telemetry.limited_log import LimitedLog
from receiver.web.ops_refusals import Refusal

SEC_FETCH_SITE: Final = "Sec-Fetch-Site"
_SEC_FETCH_MODE: Final = "Sec-Fetch-Mode"
_SEC_FETCH_DEST: Final = "Sec-Fetch-Dest"

_OWN_SITE: Final = frozenset(("same-origin", "none"))
"""Values for a page of this listener, and for an address that was typed in."""

_WAY_OUT: Final = f"or set {variable('ops_token')}"
_CROSS_SITE: Final = "a page of another site asks for this: "
_STRANGE_HOST: Final = f"nobody calls this listener by that Host: name it in {variable('ops_allowed_hosts')}"
_PROGRAM: Final = f"let a program ask, {_WAY_OUT}"
_PROXY: Final = "open it here; a proxy in between must pass Host on as it comes"


class OriginCheck:
    """Refuses requests that may come from a web page of others."""

    def __init__(self, settings: Settings) -> None:
        has_token = settings.ops_token is not None
        self._names = frozenset(("localhost", _name(settings.ops_host), *map(_name, settings.ops_allowed_hosts)))
        self._cross_site = _CROSS_SITE + (_PROXY if has_token else _PROGRAM)
        self._strange_host = _STRANGE_HOST if has_token else f"{_STRANGE_HOST}, {_WAY_OUT}"
        self._lines = LimitedLog()

    def check(self, request: web.Request) -> None:
        """Raises Refusal."""
        why = self._suspicion(request)
        if why is not None:
            self._lines.warning(
                "ops.refused", error=why, host=request.headers.get(hdrs.HOST), remote=remote_of(request)
            )
            raise Refusal(why)

    def _suspicion(self, request: web.Request) -> str | None:
        """Why the request may come from a web page of others; None if it cannot."""
        host = request.headers.get(hdrs.HOST, "")
        if host and not _is_known(_name(host), self._names):
            return self._strange_host
        if _is_followed_link(request):
            return None
        origin = request.headers.get(hdrs.ORIGIN)
        is_cross_site = request.headers.get(SEC_FETCH_SITE, "none").lower() not in _OWN_SITE
        is_foreign = origin is not None and _authority(origin) != host.lower()
        return self._cross_site if is_cross_site or is_foreign else None


def _is_followed_link(request: web.Request) -> bool:
    """Whether a browser goes to a page as a whole, in a tab: not in a frame, and not for a script."""
    headers = request.headers
    return (
        request.method == hdrs.METH_GET
        and hdrs.ORIGIN not in headers
        and headers.get(_SEC_FETCH_MODE) == "navigate"
        and headers.get(_SEC_FETCH_DEST) == "document"
    )


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
