"""Authorization at the ops listener: its bearer token (RFC 6750), or without one a check that keeps web pages off.

The probes of load balancers are open to all.
"""

import hmac
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from receiver.addresses import is_loopback
from receiver.settings import Settings, variable
from receiver.telemetry.logs import get_logger
from receiver.web import ops_origin

_OPEN: Final = frozenset(("/healthz", "/readyz"))
_SCHEME: Final = "bearer "

log = get_logger()


def guards(settings: Settings) -> list[Middleware]:
    """The middlewares of the ops listener."""
    if settings.ops_token is None:
        return [ops_origin.guard(settings, _OPEN)]
    token = settings.ops_token.get_secret_value().encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN or hmac.compare_digest(_bearer_token(request), token):
            return await handler(request)
        challenge = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="receiver"'}
        return web.json_response({"error": "the bearer token is missing or wrong"}, status=401, headers=challenge)

    return [guard]


def warn_if_open(settings: Settings) -> None:
    """Log a warning if anybody on the network can read the ops listener, and write submissions to it."""
    if settings.ops_token is None and not is_loopback(settings.ops_host):
        log.warning("ops.unprotected", host=settings.ops_host, advice=f"set {variable('ops_token')}")


def _bearer_token(request: web.Request) -> bytes:
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, value = header[: len(_SCHEME)], header[len(_SCHEME) :]
    return value.strip().encode(errors="replace") if scheme.lower() == _SCHEME else b""
