"""`/live`: reports as they are kept. Without JavaScript it is a table of the last ones."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from receiver.ingest.recent import Event
from receiver.pages.rendering import render
from receiver.pages.site import SITE
from receiver.web.live import last_events
from receiver.web.live_events import PATH
from receiver.web.live_filter import CHOICES, NAMES, WrongFilter, parse

_SHOWN: Final = 50

_EMPTY: Final = Event("", "", "", "")
"""From its row the browser makes those of the stream."""


async def live(request: web.Request) -> web.Response:
    """Filters as of the stream."""
    given = [(name, value.strip()) for name, value in request.query.items()]
    chosen = {name: next((value for key, value in given if key == name), "") for name in NAMES}
    context: dict[str, object] = {
        "chosen": chosen,
        "choices": CHOICES,
        "events": [],
        "stream": None,
        "problem": None,
        "empty": _EMPTY,
    }
    try:
        wanted, _ = parse(given)
    except WrongFilter as error:
        page = render(request, "live.html", context | {"problem": str(error)})
        page.set_status(web.HTTPBadRequest.status_code)
        return page
    events, _ = await last_events(request.app[SITE].ops.view, wanted, _SHOWN)
    query = urlencode([(name, value) for name, value in given if value and name in NAMES] + [("last", _SHOWN)])
    return render(request, "live.html", context | {"events": events[::-1], "stream": f"{PATH}?{query}"})
