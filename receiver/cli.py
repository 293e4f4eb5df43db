"""The commands of `receiver`. Each says what went wrong in one sentence, and exits with 1."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import click

from receiver import catalogue, logs, settings
from receiver.simulate.command import simulate
from receiver.store import catalogue_table, embedded, migrate, partitions
from receiver.store.embedded import EmbeddedError
from receiver.store.migrate import SchemaBehindError
from receiver.store.spoolfile import SpoolInUse


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="delivery-report-receiver", prog_name="receiver")
def main() -> None:
    """Receive SMS delivery reports and keep every one of them.

    Settings are environment variables RECEIVER_* or a file .env in the working folder.
    """


@main.command()
def serve() -> None:
    """Serve the callback URLs until SIGTERM."""
    from receiver.app import serve as run_service  # noqa: PLC0415 - the other commands start faster without it

    with _errors():
        config = settings.load()
        logs.configure(
            config.log_format, config.log_level, tokens=[t.get_secret_value() for t in config.callback_tokens]
        )
        for name in settings.unknown_variables():
            logs.get_logger().warning("settings.unknown", variable=name)
        _run(run_service(config))


@main.command("migrate")
def migrate_command() -> None:
    """Bring the database's schema and code tables up to date."""
    with _errors():
        _run(_with_database(_migrate))
    click.echo(f"The schema is at {migrate.head()}.")


@main.command("database-url")
def database_url() -> None:
    """Print the URL of the database in use, for psql "$(receiver database-url)"."""
    with _errors():
        click.echo(_database_url(settings.load()))


@main.command()
@click.argument("code")
@click.option("--provider", help="Only this platform; the same code means different things at different ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(code: str, provider: str | None, *, as_json: bool) -> None:
    """Say what a platform's status CODE means and what to do about it."""
    rows = catalogue.find(code.strip(), provider)
    if as_json:
        fields = ("provider", "code", "status", "reason", "final", "meaning", "advice")
        click.echo(json.dumps([{name: getattr(row, name) for name in fields} for row in rows], indent=2))
    else:
        for row in rows:
            click.echo(click.style(f"{row.provider} {row.code}", bold=True))
            click.echo(f"  status   {row.status}{'' if row.final else ' (not final)'}")
            click.echo(f"  reason   {row.reason or '-'}")
            click.echo(f"  meaning  {row.meaning}")
            click.echo(f"  advice   {row.advice}")
    if not rows:
        raise click.ClickException(f"no platform's table has {code}: a report with it is stored as `unknown`")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def maintain(*, as_json: bool) -> None:
    """Create the coming days' partitions and drop what is older than RECEIVER_RETENTION_DAYS."""
    with _errors():
        done = _run(_with_database(_maintain))
    if as_json:
        click.echo(
            json.dumps({"created": done.created, "dropped": done.dropped, "days_left": done.days_left}, indent=2)
        )
    else:
        click.echo(
            f"{done.created} partitions created, {len(done.dropped)} dropped, "
            f"{done.deleted_messages} old messages deleted; partitions reach {done.days_left} days ahead."
        )


main.add_command(simulate)


async def _migrate(url: str, _config: settings.Settings) -> None:
    await migrate.upgrade(url)
    connection = await migrate.connect(url)
    await catalogue_table.sync(connection)
    await connection.close()


async def _maintain(url: str, config: settings.Settings) -> partitions.Done:
    return await partitions.maintain(url, days_ahead=config.partition_days_ahead, retention_days=config.retention_days)


async def _with_database(work: Any) -> Any:  # noqa: ANN401 - any work, any result
    """Do it with the database in use; an embedded one that no service runs is started for the time."""
    config = settings.load()
    logs.configure(config.log_format, "WARNING", stream=sys.stderr.buffer)
    if config.database_url is None and not embedded.in_use(config.data_dir):
        async with embedded.running(config.data_dir) as server:
            return await work(server.url, config)
    return await work(_database_url(config), config)


def _database_url(config: settings.Settings) -> str:
    if config.database_url is not None:
        return config.database_url.get_secret_value()
    return embedded.database_url(config.data_dir)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the coroutine returns
    if sys.platform == "win32":
        return asyncio.run(coroutine)
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.run(coroutine)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the errors that an operator can do something about into one sentence."""
    try:
        yield
    except (settings.SettingsError, EmbeddedError, SchemaBehindError, SpoolInUse) as error:
        raise click.ClickException(str(error)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from error
