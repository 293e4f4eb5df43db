"""Changes by pages: on a connection of their own to the service's database, one at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

from receiver.errors import OperatorError
from receiver.pages.site import SITE
from receiver.store.database_error import explained
from receiver.store.maintenance.periodic import connected

if TYPE_CHECKING:
    import asyncpg

_DEADLINE_S: Final = 60.0
_TURN_S: Final = 2.0


class ChangeUnderWay(OperatorError):
    """Another change holds the lock for longer than a page waits."""


@asynccontextmanager
async def changing(request: web.Request) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The connection while the block runs. Raises OperatorError."""
    site = request.app[SITE]
    try:
        async with asyncio.timeout(_TURN_S):
            await site.changing.acquire()
    except TimeoutError as error:
        raise ChangeUnderWay("another replay or purge is under way: try again when it is over") from error
    try:
        with explained(site.database_url, site.settings.database_setting):
            async with asyncio.timeout(_DEADLINE_S), connected(site.database_url, site.refused) as connection:
                yield connection
    finally:
        site.changing.release()
