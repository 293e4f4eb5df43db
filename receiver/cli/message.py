"""`receiver message`: what became of one message, or of those to a number."""

import asyncio
import json
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


@click.command()
@click.argument("text", metavar="ID|NUMBER")
@filter_options(("since", "until", "provider", "number"))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="At most so many messages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, of each message with everything that is known.")
def message(text: str, *, limit: int, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - the filters' options
    """Tell what became of a message, and what its codes mean.

    By the platform's id of it, by the correlation of its submission, or by the phone number that it was sent to, in any
    way of writing it; of several messages there is a line each. It is looked for in the last month, unless --since says
    otherwise; by its id at any time. --to chooses among those that share an id. Phone numbers are shown in full.
    """
    filters = filters_of(given)
    settings = quiet_settings()

    async def work(reader: Reader) -> list[Message] | list[Story]:
        found = await _found(reader, text.strip(), filters, limit)
        if len(found) > 1 and not as_json:
            return found
        return [await _story(reader, row) for row in found]

    rows = run(with_reader(settings, work))
    if not rows:
        raise OperatorError(f"nothing is known of {text}: try another way of writing it, or a longer --since")
    if as_json:
        told = {"messages": [_as_json(row) for row in rows if isinstance(row, Story)]}
        click.echo(visible_json(json.dumps(told, indent=2, ensure_ascii=False)))
        return
    for row in rows:
        for said in story_lines(row) if isinstance(row, Story) else [line(row)]:
            click.echo(said)
    if len(rows) > 1:
        click.echo("\n`receiver message ID` tells more of one.", err=True)


async def _found(reader: Reader, text: str, filters: Filters, limit: int) -> list[Message]:
    now = datetime.now(UTC)
    meant = await search.meaning(reader, text, filters, now)
    if meant is None:
        return []
    if meant.message_id:
        known = await history(reader, meant.message_id, provider=meant.provider)
        rows = known.messages if known else []
    else:
        rows = await messages.in_full(reader, meant, now=now, limit=limit)
    return [row for row in rows if not filters.number or row.recipient in filters.numbers][:limit]


async def _story(reader: Reader, row: Message) -> Story:
    known, overdue = await asyncio.gather(
        history(reader, row.message_id, provider=row.provider), lateness.of_message(reader, row)
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


def _value(name: str, value: Any) -> object:  # noqa: ANN401 - a column's
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if name in _JSON_TEXTS and value is not None:
        return json.loads(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
