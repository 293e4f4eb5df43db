"""Authorization at the ops listener: its bearer token (RFC 6750) for programs, a session for people.

Without a token there is a check that keeps web pages of others off. The probes of load balancers are open to all.
"""

import hmac
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from receiver.addresses import is_loopback
from receiver.settings import Settings, variable
from receiver.telemetry.logs import get_logger
from receiver.web.local_path import local_path
from receiver.web.ops_origin import OriginCheck
from receiver.web.ops_refusals import NotSignedIn, wants_page
from receiver.web.ops_session import SESSIONS, Session, Sessions, give_cookie, has_cookie, session_of

LOGIN: Final = "/login"
STATIC: Final = "/static/"
SUBMISSIONS: Final = "/submissions/"
"""Programs alone post there: with the bearer token if there is one, and never with a session."""

_OPEN: Final = frozenset(("/healthz", "/readyz"))
_SCHEME: Final = "bearer "
_SAFE: Final = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))
_ENDED: Final = "your session has ended, and nothing was changed: log in, and do it again"

log = get_logger()


def protect(app: web.Application, settings: Settings) -> None:
    """Let in those alone that may; sessions are in `app[SESSIONS]`."""
    token = settings.ops_token.get_secret_value().encode() if settings.ops_token else None
    app[SESSIONS] = Sessions(token)
    app.on_response_prepare.append(give_cookie)
    origins = OriginCheck(settings)
    app.middlewares.append(_origin_guard(origins) if token is None else _token_guard(token, origins))


def _origin_guard(origins: OriginCheck) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in _OPEN:
            origins.check(request)
        return await handler(request)

    return guard


def _token_guard(token: bytes, origins: OriginCheck) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN or hmac.compare_digest(_bearer_token(request), token):
            return await handler(request)
        if not _is_browser(request) or request.path.startswith(SUBMISSIONS):
            raise NotSignedIn
        origins.check(request)
        session = session_of(request)
        if session is not None and session.is_signed_in:
            return await _answer_in(session, request, handler)
        if request.path == LOGIN or request.path.startswith(STATIC):
            return await handler(request)
        return _to_login(request)

    return guard


async def _answer_in(session: Session, request: web.Request, handler: Handler) -> web.StreamResponse:
    """The answer, which a stream does not go on with when the session has ended."""
    if request.method not in _SAFE:
        return await handler(request)
    ending = None
    try:
        async with request.app[SESSIONS].lasting(session) as ending:
            return await handler(request)
    except TimeoutError:
        if ending is not None and ending.expired():
            raise ConnectionResetError("the session has ended") from None
        raise


def _to_login(request: web.Request) -> web.Response:
    """A page to read is shown after the log-in. Raises NotSignedIn."""
    if not wants_page(request):
        raise NotSignedIn
    if request.method != hdrs.METH_GET:
        raise NotSignedIn(_ENDED)
    wanted = quote(local_path(request.raw_path), safe="/")
    return web.Response(status=303, headers={hdrs.LOCATION: LOGIN if wanted == "/" else f"{LOGIN}?next={wanted}"})


def _is_browser(request: web.Request) -> bool:
    return wants_page(request) or request.path == LOGIN or request.path.startswith(STATIC) or has_cookie(request)


def warn_if_open(settings: Settings) -> None:
    """Log a warning if anybody on the network can read the ops listener, and write submissions to it."""
    if settings.ops_token is None and not is_loopback(settings.ops_host):
        log.warning("ops.unprotected", host=settings.ops_host, advice=f"set {variable('ops_token')}")


def _bearer_token(request: web.Request) -> bytes:
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, value = header[: len(_SCHEME)], header[len(_SCHEME) :]
    return value.strip().encode(errors="replace") if scheme.lower() == _SCHEME else b""
