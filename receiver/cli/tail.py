"""`receiver tail`: what a running service keeps, as it keeps it, in the terminal."""

import json
import select
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

import click

from receiver.cli.common import base_url, quiet_settings, run
from receiver.cli.live_stream import HEARTBEAT, ROW, SAMPLED, LiveStream, Told
from receiver.telemetry.colours import has_colours
from receiver.telemetry.short_line import short_line
from receiver.web.live_filter import CHOICES, MOST_LAST

_LAST: Final = 10


def _choice(name: str) -> click.Choice[str]:
    return click.Choice(CHOICES[name])


@click.command()
@click.option("--provider", multiple=True, type=_choice("provider"), help="Only reports of this platform.")
@click.option("--status", multiple=True, type=_choice("status"), metavar="STATUS", help="Only of this status.")
@click.option("--reason", multiple=True, type=_choice("reason"), metavar="REASON", help="Only with this reason.")
@click.option("--country", multiple=True, metavar="CC", help="Only to numbers of this country, as CN.")
@click.option("--code", multiple=True, help="Only with this code of the platform.")
@click.option(
    "-n",
    "--last",
    default=_LAST,
    show_default=True,
    type=click.IntRange(0, MOST_LAST),
    help="Rows from before that come first.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many rows.")
@click.option("--url", callback=base_url, help="The ops listener's address.  [default: as the settings say]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")
def tail(*, last: int, count: int | None, url: str | None, as_json: bool, **filters: Sequence[str]) -> None:
    """Show reports as a running service keeps them: time, platform, status, number, country, code, how late.

    Numbers are masked. Of a flood only some are shown, and it says of how many. When the service restarts, it is
    connected again. A filter that is given several times takes any of its values. Ends with Ctrl-C.
    """
    wanted = [(name, value) for name, values in filters.items() for value in values]
    stream = LiveStream(quiet_settings(), wanted, lambda text: click.echo(text, err=True), url)
    run(_follow(stream, last, count, _print_json if as_json else _print_line))


async def _follow(stream: LiveStream, last: int, count: int | None, show: Callable[[Told], None]) -> None:
    left = count
    async with aclosing(stream.events(last)) as events:
        async for told in events:
            if told.kind == HEARTBEAT and _is_closed(sys.stdout.fileno()):
                return
            show(told)
            if told.kind == ROW and left is not None and not (left := left - 1):
                return


def _print_json(told: Told) -> None:
    if told.kind == ROW:
        click.echo(json.dumps(told.data, ensure_ascii=False))
    elif told.kind == SAMPLED:
        click.echo(json.dumps({"event": SAMPLED, **told.data}))


def _print_line(told: Told) -> None:
    terminal = sys.stdout.isatty()
    if told.kind == ROW:
        width = shutil.get_terminal_size().columns if terminal else None
        row = {**told.data, "timestamp": told.data["time"], "reason": told.data.get("error") or told.data.get("reason")}
        click.echo(short_line(row, width=width, colours=terminal and has_colours()))
    elif told.kind == SAMPLED:
        shown, of, unseen = (told.data[name] for name in ("shown", "of", "unseen"))
        click.echo(f"{shown} of {of} are shown" + (f", {unseen} passed unseen" if unseen else ""), err=True)


def _is_closed(output: int) -> bool:
    """Whether nobody reads a pipe any more; else a tail of rare rows would end with the next one only."""
    poll = select.poll()
    poll.register(output, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
