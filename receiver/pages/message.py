"""`/messages/{provider}/{message_id}`: the history of one message."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from receiver.pages.raw_fields import fields, masked
from receiver.pages.rendering import render, segment
from receiver.pages.site import SITE
from receiver.providers import PROVIDERS
from receiver.reading import lateness
from receiver.reading.errors import ReadError
from receiver.reading.history import MAX_REPORTS, History, history
from receiver.reading.lateness import Lateness
from receiver.reading.numbers import candidates
from receiver.reading.rows import Message, Report, Submission
from receiver.settings import Settings
from receiver.telemetry.masking import mask_msisdn

_TEMPLATE: Final = "message.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A point of the time line: a submission or a report. `late_s`: how long after it happened it was told."""

    at: datetime
    row: Report | Submission
    late_s: float | None
    fields: Sequence[tuple[str, str]]
    detail: str | None

    @property
    def is_report(self) -> bool:
        """A report, and no submission."""
        return isinstance(self.row, Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One message to one recipient, told in the order of time; `number` is its number as it may be shown."""

    message: Message
    number: str | None
    full: bool
    events: Sequence[Event]
    correlations: Sequence[str]
    context: Sequence[tuple[str, str]]
    segments: Mapping[int, Report | None]
    overdue: Lateness | None
    due_at: datetime | None
    window_h: int | None
    cut: bool


async def story(request: web.Request) -> web.StreamResponse:
    """`number`: the message was found by it, and it is shown in full; `of`: the place of one of several recipients."""
    provider, message_id = request.match_info["provider"], request.match_info["message_id"]
    context: dict[str, object] = {
        "provider": provider,
        "message_id": message_id,
        "story": None,
        "choice": [],
        "problem": None,
    }
    try:
        reader = request.app[SITE].reader
        found = await history(reader, message_id, provider=provider, numbers=_numbers(request))
        if found is None:
            return _answer(request, context, HTTPStatus.NOT_FOUND)
        chosen = _chosen(request, found)
        if chosen is None:
            return _answer(request, context | {"choice": _choice(found)})
        late = None if chosen.final else await lateness.of_message(request.app[SITE].reader, chosen)
    except ReadError as error:
        return _answer(request, context | {"problem": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)

    def told() -> web.Response:
        return _answer(request, context | {"story": _story(request, found, chosen, late)})

    # A thousand reports take a second. One page at a time, or several threads keep the event loop from its turn.
    async with request.app[SITE].telling:
        return await asyncio.to_thread(told)


def _answer(request: web.Request, context: Mapping[str, object], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    response = render(request, _TEMPLATE, context)
    response.set_status(status)
    return response


def _chosen(request: web.Request, found: History) -> Message | None:
    """The message that is meant of those that share the id; None where that is open."""
    numbers = _numbers(request)
    named = [row for row in found.messages if row.recipient in numbers]
    place = request.query.get("of", "")
    if not named and place.isdecimal() and int(place[:4]) < len(found.messages):
        named = [found.messages[int(place[:4])]]
    if not named and len(found.messages) == 1:
        named = found.messages
    return named[0] if named else None


def _numbers(request: web.Request) -> tuple[str, ...]:
    try:
        return candidates(request.query.get("number", "").strip())
    except ValueError:
        return ()


def _choice(found: History) -> list[tuple[str, Message]]:
    """Each message of the id, masked, with the link to it."""
    row = found.messages[0]
    path = f"/messages/{segment(row.provider)}/{segment(row.message_id)}"
    return [(f"{path}?of={place}", message.masked()) for place, message in enumerate(found.messages)]


def _story(request: web.Request, found: History, message: Message, late: Lateness | None) -> Story:
    number = message.recipient
    full = number is not None and number in _numbers(request)
    alone = len(found.messages) == 1
    reports = [row for row in found.reports if alone or row.recipient == number]
    submissions = [row for row in found.submissions if alone or row.recipient == number]
    window_h = _windows_h(request.app[SITE].settings).get(message.provider)
    waits_since = message.submitted_at if not message.final else None
    return Story(
        message=message,
        number=number if full else mask_msisdn(number),
        full=full,
        events=_events(submissions, reports, number, full=full),
        correlations=sorted({row.correlation for row in submissions if row.correlation}),
        context=_contexts(reports, submissions, number, full=full),
        segments=_segments(message, reports),
        overdue=late,
        due_at=_due_at(waits_since, window_h),
        window_h=window_h,
        cut=len(found.reports) >= MAX_REPORTS,
    )


def _due_at(since: datetime | None, window_h: int | None) -> datetime | None:
    """None where it is not known, or later than any time: a platform's clock may say the year 9999."""
    if since is None or window_h is None:
        return None
    with suppress(OverflowError):
        return since + timedelta(hours=window_h)
    return None


def _events(
    submissions: Sequence[Submission], reports: Sequence[Report], number: str | None, *, full: bool
) -> list[Event]:
    events = [_event(row, row.submitted_at, number, full=full) for row in submissions]
    events += [_event(row, row.happened_at, number, full=full) for row in reports]
    return sorted(events, key=lambda event: (event.at, event.is_report, event.row.received_at))


def _event(row: Report | Submission, happened_at: datetime | None, number: str | None, *, full: bool) -> Event:
    return Event(
        at=happened_at or row.received_at,
        row=row,
        late_s=(row.received_at - happened_at).total_seconds() if happened_at else None,
        fields=fields(row.raw, number, full=full),
        detail=row.detail if full or row.detail is None else masked(row.detail, number),
    )


def _contexts(
    reports: Sequence[Report], submissions: Sequence[Submission], number: str | None, *, full: bool
) -> list[tuple[str, str]]:
    """The sender's own data, of the last that had some."""
    given = [text for text in (*(row.context for row in submissions), *(row.context for row in reports)) if text]
    return fields(given[-1], number, full=full) if given else []


def _segments(message: Message, reports: Sequence[Report]) -> dict[int, Report | None]:
    """The last report of each segment of a long message; None for one of which nothing was told."""
    told = {row.segment: row for row in sorted(reports, key=_order) if row.segment}
    number = max([message.segments or 0, *(segment for segment in told if segment)])
    return {place: told.get(place) for place in range(1, number + 1)} if number > 1 and told else {}


def _order(row: Report) -> tuple[bool, datetime]:
    return row.final, row.happened_at or row.received_at


def _windows_h(settings: Settings) -> dict[str, int]:
    known: dict[str, int] = {provider.name: provider.reporting_window_h for provider in PROVIDERS}
    return known | settings.reporting_windows_h
