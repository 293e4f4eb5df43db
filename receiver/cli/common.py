"""Shared by the commands: the event loop, settings with quiet logs, and the database in use."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from receiver import embedded
from receiver.reading import periods
from receiver.settings import Settings, load
from receiver.signals import Interrupted, interruptible
from receiver.telemetry import logs

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, run on uvloop where there is one. Exits with 128 + the signal's number after a signal."""
    run_in_loop = asyncio.run if sys.platform == "win32" else _uvloop_run()
    try:
        return run_interruptibly(coroutine, run_in_loop)
    except Interrupted as error:
        raise SystemExit(error.exit_code) from None


def run_interruptibly(
    coroutine: Coroutine[Any, Any, T], run_in_loop: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
) -> T:
    """As `run`, for a caller with something to print after a signal. Raises Interrupted."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return run_in_loop(interruptible(coroutine))
    finally:
        signal.signal(signal.SIGINT, before)  # a loop that closes leaves Python's own handler there


def _uvloop_run() -> Callable[[Coroutine[Any, Any, T]], T]:
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.run


def base_url(_context: click.Context, _parameter: click.Parameter, value: T) -> T:
    """Callback of an option that takes the address of a listener, or None."""
    parts = urlsplit(str(value or "http://default"))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter("it should look like http://127.0.0.1:8080")
    return value


def quiet_settings(*secrets: str) -> Settings:
    """The settings, for a command whose output is its own: logs go to stderr, and only warnings.

    `secrets` are further ones to keep out of the logs.
    """
    settings = load()
    tokens = [*settings.secrets(), *secrets]
    logs.configure(settings.log_format, "WARNING", tokens=tokens, stream=sys.stderr.buffer)
    return settings


def moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """A time of an option: ISO 8601, in UTC unless it says otherwise, or so long ago as in `7d`."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        try:
            found = periods.resolve(value, datetime.now(UTC), end=False)
        except ValueError:
            raise click.BadParameter("it should look like 2026-11-20T09:30:00Z") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not periods.FIRST <= found <= periods.LAST:
        raise click.BadParameter(f"it is not between {periods.FIRST:%Y} and {periods.LAST:%Y}")
    return found


def url_in_use(settings: Settings) -> str:
    """The database's URL, whether or not it runs."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return embedded.database_url(settings.data_dir)


async def with_database(settings: Settings, work: Callable[[str], Awaitable[T]]) -> T:
    """Do the work with the database's URL; an embedded one that no service runs is started for the time.

    Raises DatabaseError for errors of PostgreSQL and of connecting to it.
    """
    from receiver.store.database_error import explained  # noqa: PLC0415 - `database-url` asks no database

    url = url_in_use(settings)
    async with AsyncExitStack() as stack:
        if settings.database_url is None and not embedded.in_use(settings.data_dir):
            await stack.enter_async_context(embedded.running(settings.data_dir))
        with explained(url, settings.database_setting):
            return await work(url)
