"""The commands of `receiver`. Each says what went wrong in one sentence, and exits with 1."""

import click

from receiver import settings
from receiver.cli.common import errors
from receiver.cli.explain import explain
from receiver.cli.pull import pull
from receiver.cli.rejected import rejected
from receiver.cli.schema import database_url, maintain, migrate
from receiver.cli.serving import run_service
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
    with errors():
        run_service(settings.load(), wiring.configured(), listen=True)


for command in (migrate, database_url, explain, simulate, pull, rejected, spool, maintain):
    main.add_command(command)
