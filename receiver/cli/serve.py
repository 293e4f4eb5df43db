"""`receiver serve`: the service."""

import click

from receiver import settings
from receiver.cli.serving import run_service
from receiver.pull import wiring


@click.command()
def serve() -> None:
    """Serve the callback URLs until SIGTERM."""
    run_service(settings.load(), wiring.configured(), listen=True)
