"""What the commands share: the database in use, the event loop, and errors as one sentence."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
import click

from receiver import logs
from receiver.settings import Settings, SettingsError, load
from receiver.signals import Interrupted, interruptible
from receiver.store import embedded
from receiver.store.embedded import EmbeddedError
from receiver.store.migrate import MigrationError, SchemaBehindError
from receiver.store.partitions import NotRetired
from receiver.store.postgres import TRANSIENT
from receiver.store.spoolfile import SpoolInUse
from receiver.web.bind import ListenError

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, on the fastest loop there is. A signal that ends it is told in the exit code."""
    work = interruptible(coroutine)
    try:
        if sys.platform == "win32":
            return asyncio.run(work)
        import uvloop  # noqa: PLC0415 - not on every platform

        return uvloop.run(work)
    except Interrupted as error:
        raise SystemExit(error.exit_code) from None


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors that an operator can do something about into one sentence and exit code 1."""
    try:
        yield
    except (SettingsError, EmbeddedError, MigrationError, SchemaBehindError, NotRetired, SpoolInUse) as error:
        raise click.ClickException(str(error)) from error
    except ListenError as error:
        raise click.ClickException(str(error)) from error
    except (*TRANSIENT, aiohttp.ClientError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from error


def quiet_settings(*secrets: str) -> Settings:
    """The settings, for a command whose output is its own: logs go to stderr, and only warnings.

    `secrets` are those that stand elsewhere, and are kept out of the logs too.
    """
    settings = load()
    tokens = [*settings.secrets(), *secrets]
    logs.configure(settings.log_format, "WARNING", tokens=tokens, stream=sys.stderr.buffer)
    return settings


def url_in_use(settings: Settings) -> str:
    """The database's URL, whether or not it runs."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return embedded.database_url(settings.data_dir)


async def with_database(settings: Settings, work: Callable[[str], Awaitable[T]]) -> T:
    """Do the work with the database's URL; an embedded one that no service runs is started for the time."""
    if settings.database_url is None and not embedded.in_use(settings.data_dir):
        async with embedded.running(settings.data_dir) as server:
            return await work(server.url)
    return await work(url_in_use(settings))
