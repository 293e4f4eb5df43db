"""Shared by the commands that ask PostgreSQL for people: their filters as options, and a reader."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

import click

from receiver import embedded
from receiver.catalogue import providers
from receiver.cli.common import url_in_use
from receiver.cli.completing import platforms
from receiver.reading import reader as reading
from receiver.reading.filters import REASONS, STATUSES, FilterError, Filters
from receiver.reading.reader import Limits, Reader
from receiver.settings import Settings
from receiver.telemetry.visible import visible

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final = {
    "since": ("--since", "TIME", "From then on: 24h, 7d, 2026-11-01, 2026-11-01T12:30 (UTC)."),
    "until": ("--until", "TIME", "Before then; a day is meant with all its hours. Default: now."),
    "number": ("--to", "NUMBER", "To (of replies: from) this phone number, in any way of writing it; can be repeated."),
    "provider": ("--provider", "NAME", "Of this platform."),
    "country": ("--country", "XX", "Of this country, in two letters; - is an unknown one."),
    "status": ("--status", "STATUS", "In this state; also: failed, under_way."),
    "reason": ("--reason", "REASON", "Failed for this reason."),
    "code": ("--code", "CODE", "With this code of the platform's."),
    "sender": ("--sender", "ID", "With this sender id; of replies, the number that was written to."),
    "message_id": ("--id", "ID", "Of the message with this id."),
    "correlation": ("--correlation", "TEXT", "Of the submissions with this correlation; for messages."),
}

_COMPLETED: Final = {
    "provider": platforms,
    "status": lambda _context, _parameter, begun: [one for one in STATUSES if one.startswith(begun)],
    "reason": lambda _context, _parameter, begun: [one for one in REASONS if one.startswith(begun)],
}

_LIMITS: Final = Limits(queries=4, streams=1, connect_s=10.0, statement_s=30.0, stream_s=86_400.0)
"""A command is alone with its database, and somebody has asked for it: it may take its time."""


def filter_options(names: Iterable[str] = tuple(_OPTIONS)) -> Callable[[F], F]:
    """Options for these filters, by the names that `Filters` has."""

    def decorate(command: F) -> F:
        for name in reversed(tuple(names)):
            flag, metavar, said = _OPTIONS[name]
            option = click.option(
                flag, name, metavar=metavar, multiple=name == "number", help=said, shell_complete=_COMPLETED.get(name)
            )
            command = option(command)
        return command

    return decorate


def filters_of(given: dict[str, Any]) -> Filters:
    """From the options' values; an unknown platform is noted. Raises click.BadParameter, with the option's name."""
    numbers = given.get("number")
    name = given.get("provider")
    if name and name not in providers():  # no error: rows may be of one that an earlier version knew
        click.echo(f"Note: {visible(name)} is no platform that this version knows: {', '.join(providers())}.", err=True)
    try:
        return Filters.parse(given | ({"number": ",".join(numbers)} if numbers else {"number": ""}))
    except FilterError as error:
        raise refused(error) from None


def refused(error: FilterError) -> click.UsageError:
    """The error with the options' names."""
    said = [f"{_OPTIONS[name][0] if name in _OPTIONS else name}: {why}" for name, why in error.problems.items()]
    return click.UsageError("; ".join(said))


async def with_reader(settings: Settings, work: Callable[[Reader], Awaitable[T]]) -> T:
    """Do the work with a reader; an embedded PostgreSQL that no service runs is started for the time."""
    async with AsyncExitStack() as stack:
        own = settings.database_url is None and settings.read_database_url is None
        if own and not embedded.in_use(settings.data_dir):
            await stack.enter_async_context(embedded.running(settings.data_dir))
        reader = await stack.enter_async_context(reading.opened(settings, url_in_use(settings), _LIMITS))
        return await work(reader)
