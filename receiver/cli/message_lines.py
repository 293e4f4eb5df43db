"""A message for a terminal: its state, its time line, and what its codes mean."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from receiver.reading.history import History
from receiver.reading.lateness import Lateness
from receiver.reading.rows import Message, Report, Submission
from receiver.telemetry.short_line import COLOURS, MIN_WIDTH, RESET, lateness
from receiver.telemetry.visible import visible

_CLOCKS_S: Final = 2.0
"""A platform's clock may be so much ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A message with everything that is known about it; `overdue` where its end should have been told."""

    message: Message
    known: History
    overdue: Lateness | None


def line(row: Message) -> str:
    """One of several messages."""
    why = " ".join(part for part in (row.code, row.reason) if part)
    when, number = _time(row.first_received_at), visible(row.recipient or "-")
    return (
        f"{when}  {row.provider:<9} {_state(row.status, 13)} {number:<16} {visible(why):<28} {visible(row.message_id)}"
    )


def story_lines(story: Story, width: int | None = None) -> Iterable[str]:
    """A message's state, its time line, and what its codes mean, wrapped at the width if there is one."""
    row = story.message
    yield click.style(f"{row.provider} {visible(row.message_id)}", bold=True)
    sender = f", from {visible(row.sender)}" if row.sender else ""
    yield f"  to        {row.recipient or '-'} ({row.country or 'country unknown'}){sender}"
    reason, end = f", {row.reason}" if row.reason else "", "" if row.final else " (not final)"
    yield f"  state     {_state(row.status)}{reason}{end}"
    if (row.segments or 1) > 1:
        yield f"  segments  {row.segments_reported} of {row.segments} reported"
    if story.overdue:
        late = story.overdue
        expected = f"its end was expected within {lateness(late.expected_s)} ({late.rule})"
        yield f"  overdue   waits {lateness(late.waiting_s)}, {expected}"
    elif row.delivery_s is not None:
        yield f"  took      {lateness(row.delivery_s)}"
    yield ""
    yield from _events(story.known)
    yield from _meanings(story.known, row, width)


def _events(known: History) -> Iterable[str]:
    events: list[Submission | Report] = [*known.submissions, *known.reports]
    for one in sorted(events, key=_moment):
        at = _moment(one)
        if isinstance(one, Report):
            place = f"report {one.segment}/{one.segments or '?'}" if one.segment else "report"
            late_s = (one.received_at - one.happened_at).total_seconds() if one.happened_at else None
            told = _told(late_s)
        else:
            place, told = "submitted", f"correlation {visible(one.correlation)}" if one.correlation else ""
        detail = f"  {visible(one.detail)}" if one.detail else ""
        code = visible(one.code)
        yield f"  {_time(at)}  {place:<12} {_state(one.status, 13)} {code:<16} {told}{detail}".rstrip()


def _told(late_s: float | None) -> str:
    if late_s is None:
        return ""
    return f"told {lateness(late_s)} later" if late_s > -_CLOCKS_S else f"dated {lateness(-late_s)} ahead"


def _moment(row: Submission | Report) -> datetime:
    at = row.happened_at if isinstance(row, Report) else row.submitted_at
    return at or row.received_at


def _meanings(known: History, row: Message, width: int | None) -> Iterable[str]:
    """What each code says, that of the state last: it is what one acts upon."""
    events: list[Submission | Report] = [*known.submissions, *known.reports]
    said = {one.code: one.explained for one in events}
    if row.code:
        said[row.code] = row.explained
    for code, explained in said.items():
        yield ""
        yield f"  {click.style(visible(code), bold=True)}"
        yield _wrapped("    meaning   ", explained.meaning if explained else "not in the table of this platform", width)
        if explained:
            yield _wrapped("    advice    ", explained.advice, width)


def _wrapped(label: str, sentence: str, width: int | None) -> str:
    if width is None:
        return f"{label}{sentence}"
    return textwrap.fill(sentence, max(width, MIN_WIDTH), initial_indent=label, subsequent_indent=" " * len(label))


def _state(status: str, width: int = 0) -> str:
    return f"{COLOURS.get(status, '')}{status}{RESET}{' ' * (width - len(status))}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
