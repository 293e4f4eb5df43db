"""`receiver message`: what became of one message, or of those to a number."""

import asyncio
import json
import shutil
import sys
from datetime import UTC, datetime
from typing import Any, Final

import click

from receiver.cli.asking import filter_options, filters_of, with_reader
from receiver.cli.common import quiet_settings, run
from receiver.cli.message_lines import Story, line, story_lines
from receiver.errors import OperatorError
from receiver.reading import lateness, messages, search
from receiver.reading.filters import Filters
from receiver.reading.history import History, history
from receiver.reading.reader import Reader
from receiver.reading.rows import Message, Report, Submission
from receiver.telemetry.visible import visible_json

_JSON_TEXTS: Final = ("raw", "context")
_MOST: Final = 100
_NAMED: Final = 3
"""Numbers that are named of those that a text without a country code may be."""


@click.command()
@click.argument("text", metavar="ID|NUMBER")
@filter_options(("since", "until", "provider", "number"))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, _MOST), help="At most so many messages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, of each message with everything that is known.")
def message(text: str, *, limit: int, as_json: bool, **given: Any) -> None:
    """Tell what became of a message, and what its codes mean.

    By the platform's id of it, by the correlation of its submission, or by the phone number that it was sent to, in any
    way of writing it; of several messages there is a line each. It is looked for in the last month, unless --since says
    otherwise; by its id at any time. --to chooses among those that share an id. Phone numbers are shown in full.
    """
    text = text.strip()
    if not text:
        raise click.BadParameter("it is empty", param_hint="ID|NUMBER")
    filters = filters_of(given)
    settings = quiet_settings()
    now = datetime.now(UTC)

    async def work(reader: Reader) -> tuple[list[Message], list[Story]]:
        found = await _found(reader, text, filters, now, limit + 1)
        whole = found[:limit] if as_json or len(found) == 1 else []
        return found, [await _story(reader, row) for row in whole]

    found, stories = run(with_reader(settings, work))
    if not found:
        raise OperatorError(_unknown(text, filters, now))
    if as_json:
        told = {"messages": [_as_json(story) for story in stories]}
        click.echo(visible_json(json.dumps(told, indent=2, ensure_ascii=False)))
    elif stories:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for said in story_lines(stories[0], width):
            click.echo(said)
    else:
        for row in found[:limit]:
            click.echo(line(row))
        shared = len({row.message_id for row in found}) < len(found)
        click.echo(f"\n`receiver message ID{' --to NUMBER' if shared else ''}` tells more of one.", err=True)
    if len(found) > limit:
        more = f"--limit shows up to {_MOST}, " if limit < _MOST else ""
        click.echo(f"There are more than these {limit}: {more}`receiver export messages` writes all.", err=True)


def _unknown(text: str, filters: Filters, now: datetime) -> str:
    """What it was taken for, and of which time; an id is looked for in all of it."""
    numbers = [number for one in search.meanings(text, filters) for number in one.numbers]
    since = filters.changed(message_id=text[:1]).period(now).since
    named = f"or to {', '.join(numbers[:_NAMED])}{', …' if len(numbers) > _NAMED else ''}" if numbers else ""
    to = f" to {filters.number}" if filters.number else ""
    return (
        f"nothing is known of {text}: no message{to} has this id, and since {since:%Y-%m-%d %H:%M}Z there is none with"
        f" this correlation {named or '(it is no phone number)'}: try a longer --since"
    )


async def _found(reader: Reader, text: str, filters: Filters, now: datetime, most: int) -> list[Message]:
    meant = await search.meaning(reader, text, filters, now)
    if meant is None:
        return []
    if meant.message_id and filters.number:
        known = await history(reader, meant.message_id, provider=meant.provider, numbers=filters.numbers)
        rows = known.messages if known else []
    else:
        rows = await messages.in_full(reader, meant, now=now, limit=most)
    return [row for row in rows if not filters.number or row.recipient in filters.numbers]


async def _story(reader: Reader, row: Message) -> Story:
    numbers = (row.recipient,) if row.recipient else ()
    known, overdue = await asyncio.gather(
        history(reader, row.message_id, provider=row.provider, numbers=numbers), lateness.of_message(reader, row)
    )
    whole = known or History([row], [], [])
    alone = len(whole.messages) == 1
    return Story(
        message=row,
        known=History(
            [row],
            [one for one in whole.submissions if alone or one.recipient == row.recipient],
            [one for one in whole.reports if alone or one.recipient == row.recipient],
        ),
        overdue=overdue,
    )


def _as_json(story: Story) -> dict[str, object]:
    late = story.overdue
    return _plain(story.message) | {
        "overdue": late._asdict() if late else None,
        "submissions": [_plain(row) for row in story.known.submissions],
        "reports": [_plain(row) for row in story.known.reports],
    }


def _plain(row: Message | Submission | Report) -> dict[str, object]:
    explained = row.explained
    return {name: _value(name, value) for name, value in row._asdict().items()} | {
        "meaning": explained.meaning if explained else None,
        "advice": explained.advice if explained else None,
    }


def _value(name: str, value: Any) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if name in _JSON_TEXTS and value is not None:
        return json.loads(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
