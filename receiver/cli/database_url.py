"""`receiver database-url`: prints the URL of the database in use."""

import click

from receiver.cli.common import url_in_use
from receiver.settings import load


@click.command("database-url")
def database_url() -> None:
    """Print the URL of the database in use.

    For psql "$(receiver database-url)": the password is in it.
    """
    click.echo(url_in_use(load()))
