"""`/spool` for a browser: the callbacks that wait on the disk for PostgreSQL, and the pace at which they get there."""

import asyncio
from typing import Final, NamedTuple

from aiohttp import web

from receiver.pages import samples
from receiver.pages.rendering import render
from receiver.pages.site import SITE
from receiver.web.view import View

_LOOK_S: Final = 1.0
"""The pace is the difference of two looks that are so far apart."""


class Pace(NamedTuple):
    """Requests a second, into the spool and out of it to PostgreSQL."""

    written: float
    drained: float


async def show(request: web.Request) -> web.Response:
    """An empty spool is shown at once; the pace of another one takes a second to see."""
    view = request.app[SITE].ops.view
    health = await view.health()
    pace = await _pace(view) if health.depth.callbacks else None
    found = await samples.samples(view)
    context = {
        "health": health,
        "depth": health.depth,
        "pace": pace,
        "left_s": health.depth.callbacks / pace.drained if pace and pace.drained else None,
        "max_bytes": int(samples.total(found, samples.MAX_BYTES)),
        "quarantined": int(samples.total(found, samples.QUARANTINED)),
        "queued": int(samples.total(found, samples.QUEUE)),
    }
    return render(request, "spool.html", context)


async def _pace(view: View) -> Pace:
    clock = asyncio.get_running_loop().time
    began, before = clock(), await samples.samples(view)
    await asyncio.sleep(_LOOK_S)
    after, took_s = await samples.samples(view), clock() - began

    def a_second(name: str) -> float:
        return max(0.0, samples.total(after, name) - samples.total(before, name)) / took_s

    return Pace(written=a_second(samples.SPOOLED), drained=a_second(samples.DRAINED))
