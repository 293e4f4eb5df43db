"""`receiver serve`: the service."""

import click

from receiver import settings
from receiver.cli.serving import run_service
from receiver.pull import wiring


@click.command()
def serve() -> None:
    """Serve the callback URLs until SIGTERM.

    Ctrl-C and a closed terminal end it too: requests under way are answered first. Ctrl-C again ends it at once. What
    it does is in RECEIVER_* and in the file .env.
    """
    run_service(settings.load(), wiring.configured(), listen=True)
