"""Forms that change something: `{{ csrf() }}` stands in each, and is checked here for every route that is no GET.

A handler of such a route takes its fields from `fields`; it never runs for a form that is not of this session.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from markupsafe import Markup

from receiver.pages.site import SITE
from receiver.providers.base import HTTP_STATUS
from receiver.server.protocol import remote_of
from receiver.telemetry.logs import get_logger
from receiver.web.answers import HEADERS, HttpRefusal
from receiver.web.body import SMALL_BYTES, BodyLimits, is_encoded, read_body
from receiver.web.ops_refusals import Refusal
from receiver.web.ops_session import SESSIONS, form_token, session_of
from receiver.web.ops_token import LOGIN, SUBMISSIONS

_SAFE: Final = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))
_FIELD: Final = "csrf"
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 1_000
_NOT_OURS: Final = (
    "this form is not of your session, and nothing was changed: open its page anew and send it from there, "
    "with cookies allowed"
)

_FIELDS: Final = web.RequestKey("fields", Mapping)

log = get_logger()


def fields(request: web.Request) -> Mapping[str, str]:
    """The fields of the form that was sent; of several values for a name, the last."""
    return request[_FIELDS]


def csrf_field(request: web.Request) -> Markup:
    """The hidden field of a form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(_FIELD, form_token(request))


@web.middleware
async def check_forms(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that lets nothing change but by a form of the session. Routes of programs are checked elsewhere."""
    is_known = request.match_info.http_exception is None
    if request.method in _SAFE or not is_known or request.path.startswith(SUBMISSIONS):
        return await handler(request)
    given = await _read(request)
    session = session_of(request)
    if session is None or not request.app[SESSIONS].is_form_token(session, given.pop(_FIELD, "")):
        raise Refusal(_NOT_OURS)
    request[_FIELDS] = given
    response = await handler(request)
    if request.path != LOGIN:  # that has events of its own
        log.info("ops.changed", path=_route(request), status=response.status, remote=remote_of(request))
    return response


def _route(request: web.Request) -> str | None:
    """As it is registered: what stands in its place may be a number."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else None


async def _read(request: web.Request) -> dict[str, str]:
    """Bounded in size and in time. Raises HTTPException."""
    if request.content_type != _MEDIA_TYPE or is_encoded(request):
        raise web.HTTPUnsupportedMediaType
    try:
        body = await read_body(request, BodyLimits(SMALL_BYTES, request.app[SITE].settings.body_timeout_s))
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except HttpRefusal as refused:
        raise _refusal(refused) from refused
    except ValueError as error:
        raise web.HTTPBadRequest from error


def _refusal(refused: HttpRefusal) -> Refusal:
    refusal = Refusal(refused.description, HEADERS.get(refused.verdict))
    refusal.set_status(HTTP_STATUS[refused.verdict])
    return refusal
