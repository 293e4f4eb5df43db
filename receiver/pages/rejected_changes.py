"""Replay and purge of rejected payloads: a page shows the outcome first, its form does it.

By the functions of the commands `receiver rejected replay` and `purge`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from uuid import UUID

from aiohttp import web

from receiver.errors import OperatorError
from receiver.ingest.replay import Replayed, replay
from receiver.pages.changes import changing
from receiver.pages.forms import fields
from receiver.pages.rendering import render
from receiver.reading.export import check
from receiver.reading.filters import FilterError, Filters
from receiver.reading.lists import of_a_month
from receiver.store import rejected as store
from receiver.telemetry.logs import get_logger

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

_MAX_REPLAYED: Final = 100
"""Payloads of one replay by a page; the command takes more."""

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The payloads that are meant; `given` names them again in the form."""

    chosen: store.Filter
    given: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Target":
        """From a URL's query or a form: one payload by its id, or those of a list. Raises HTTPBadRequest."""
        try:
            if text := given.get("rejected_id"):
                return cls(chosen=store.Filter(rejected_id=UUID(text), replayed_too=True), given={"rejected_id": text})
            filters = Filters.parse(given)
            check("rejected", filters)
            return cls._listed(filters)
        except (ValueError, FilterError) as error:
            raise web.HTTPBadRequest(text=f"this names no payloads: {error}") from error

    @classmethod
    def _listed(cls, filters: Filters) -> "Target":
        """The period is fixed here, so that payloads which arrive before the form is sent are not included."""
        since, until = of_a_month(filters, datetime.now(UTC))
        chosen = store.Filter(
            provider=filters.provider,
            since=since,
            before=until,
            error=filters.error,
            replayed_too=filters.replayed is not None,
        )
        return cls(chosen=chosen, given=filters.given | {"since": since.isoformat(), "until": until.isoformat()})

    @property
    def one(self) -> UUID | None:
        """The only payload that is meant."""
        return self.chosen.rejected_id


async def ask_replay(request: web.Request) -> web.Response:
    """A page with the outcome that a replay would have."""
    return await _answer(request, Target.of(request.query), _tried, "replay.html", done=False)


async def do_replay(request: web.Request) -> web.Response:
    """Replay; a page with the outcome."""
    return await _answer(request, Target.of(fields(request)), _replayed, "replay.html", done=True)


async def ask_purge(request: web.Request) -> web.Response:
    """A page with the number of payloads that a purge would delete."""
    return await _answer(request, Target.of(request.query), _counted, "purge.html", done=False)


async def do_purge(request: web.Request) -> web.Response:
    """Delete; a page with their number."""
    return await _answer(request, Target.of(fields(request)), _purged, "purge.html", done=True)


async def _tried(connection: "Connection", chosen: store.Filter) -> list[Replayed]:
    return await replay(connection, await store.find(connection, chosen, _MAX_REPLAYED), dry_run=True)


async def _replayed(connection: "Connection", chosen: store.Filter) -> list[Replayed]:
    done = await replay(connection, await store.find(connection, chosen, _MAX_REPLAYED), dry_run=False)
    whole = sum(one.error is None for one in done)
    log.info("rejected.replayed", payloads=len(done), whole=whole, stored=sum(one.stored for one in done))
    return done


async def _counted(connection: "Connection", chosen: store.Filter) -> int:
    return await store.count(connection, chosen)


async def _purged(connection: "Connection", chosen: store.Filter) -> int:
    number = await store.purge(connection, chosen)
    log.info("rejected.purged", payloads=number)
    return number


async def _answer(
    request: web.Request,
    target: Target,
    work: Callable[["Connection", store.Filter], Awaitable[list[Replayed] | int]],
    template: str,
    *,
    done: bool,
) -> web.Response:
    context = {"target": target, "done": done, "most": _MAX_REPLAYED, "outcome": None, "problem": None}
    try:
        async with changing(request) as connection:
            return render(request, template, context | {"outcome": await work(connection, target.chosen)})
    except OperatorError as error:
        response = render(request, template, context | {"problem": str(error)})
        response.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
        return response
