"""The commands of `receiver`. Each says what went wrong in one sentence, and exits with 1."""

import click

from receiver import logs, settings
from receiver.cli.common import errors, run
from receiver.cli.explain import explain
from receiver.cli.pull import pull
from receiver.cli.rejected import rejected
from receiver.cli.schema import database_url, maintain, migrate
from receiver.cli.shown import Shown
from receiver.cli.spool import spool
from receiver.pull import wiring
from receiver.simulate.command import simulate


@click.group(cls=Shown, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="delivery-report-receiver", prog_name="receiver")
def main() -> None:
    """Receive SMS delivery reports and keep every one of them.

    Settings are environment variables RECEIVER_* or a file .env in the working folder.
    """


@main.command()
def serve() -> None:
    """Serve the callback URLs until SIGTERM."""
    from receiver.app import serve as run_service  # noqa: PLC0415 - the other commands start faster without it

    with errors():
        config = settings.load()
        platforms = wiring.configured()
        tokens = [token.get_secret_value() for token in config.callback_tokens]
        tokens += [config.ops_token.get_secret_value()] if config.ops_token else []
        tokens += [key.get_secret_value().rpartition(":")[2] for key in config.push_keys]
        tokens += [secret for platform in platforms for secret in platform.secrets]
        logs.configure(config.log_format, config.log_level, tokens=tokens)
        for name in settings.unknown_variables(known=wiring.VARIABLES):
            logs.get_logger().warning("settings.unknown", variable=name)
        run(run_service(config, platforms))


for command in (migrate, database_url, explain, simulate, pull, rejected, spool, maintain):
    main.add_command(command)
