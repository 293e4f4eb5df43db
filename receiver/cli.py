"""The commands of `receiver`."""

import click


@click.group()
def main() -> None:
    """Receive SMS delivery reports and keep every one of them."""
