"""`/login`, where the ops token is exchanged for a session, and `/logout`."""

from typing import Final

from aiohttp import hdrs, web

from receiver.pages.forms import fields
from receiver.pages.rendering import render
from receiver.server.protocol import remote_of
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.logs import get_logger
from receiver.web.local_path import local_path
from receiver.web.login_limit import LoginLimit
from receiver.web.ops_origin import SEC_FETCH_SITE
from receiver.web.ops_refusals import TooManyLogins
from receiver.web.ops_session import SESSIONS, begin_session, drop_cookie, session_of
from receiver.web.ops_token import LOGIN

_WRONG: Final = "This is not the token."
_ELSEWHERE: Final = frozenset(("cross-site", "same-site"))

LIMIT: Final = web.AppKey("login_limit", LoginLimit)

log = get_logger()
_lines = LimitedLog()


async def form(request: web.Request) -> web.Response:
    """Asks for the token; `next` is the page that is opened afterwards."""
    wanted = local_path(request.query.get("next", ""))
    if _needs_none(request):
        return _go_to(wanted)
    # Browsers send no SameSite=Strict cookie with a link from elsewhere: with the page opened from here they do.
    is_from_elsewhere = request.headers.get(SEC_FETCH_SITE, "") in _ELSEWHERE
    return render(request, "login.html", {"next": wanted, "problem": None, "opens_next": is_from_elsewhere})


async def log_in(request: web.Request) -> web.Response:
    """`token`, and `next` from the form. Raises TooManyLogins, for the right token too: a guess must not tell."""
    sessions, limit, remote = request.app[SESSIONS], request.app[LIMIT], remote_of(request)
    wanted = local_path(fields(request).get("next", ""))
    if _needs_none(request):
        return _go_to(wanted)
    if wait_s := limit.wait_s(remote):
        _lines.warning("ops.login_limited", remote=remote, wait_s=wait_s)
        why = f"there were too many wrong tokens: try again in {wait_s} s"
        raise TooManyLogins(why, {hdrs.RETRY_AFTER: str(wait_s)})
    if not sessions.is_token(fields(request).get("token", "")):
        limit.failed(remote)
        _lines.warning("ops.login_failed", remote=remote)
        page = render(request, "login.html", {"next": wanted, "problem": _WRONG, "opens_next": False})
        page.set_status(403)
        return page
    begin_session(request, signed_in=True)
    log.info("ops.logged_in", remote=remote)
    return _go_to(wanted)


async def log_out(request: web.Request) -> web.Response:
    """Ends the session here too, so that its cookie is worth nothing wherever else it is."""
    session = session_of(request)
    response = _go_to(LOGIN)
    if session is not None and session.is_signed_in:
        request.app[SESSIONS].end(session)
        drop_cookie(request, response)
        log.info("ops.logged_out", remote=remote_of(request))
    return response


def _needs_none(request: web.Request) -> bool:
    session = session_of(request)
    return request.app[SESSIONS].token is None or (session is not None and session.is_signed_in)


def _go_to(path: str) -> web.Response:
    """By hand, as `HTTPSeeOther` rewrites what it is given."""
    return web.Response(status=303, headers={hdrs.LOCATION: path})
