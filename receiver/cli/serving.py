"""Shared by `receiver serve` and `receiver pull`: they run until a signal stops them."""

from collections.abc import Sequence

import click

from receiver import settings
from receiver.cli.common import run
from receiver.pull import wiring
from receiver.pull.source import Opened
from receiver.settings import Settings
from receiver.telemetry import logs


def run_service(config: Settings, platforms: Sequence[Opened], *, listen: bool) -> None:
    """Run the service, and exit with its exit code."""
    from receiver import service  # noqa: PLC0415 - the other commands start faster without it

    tokens = [*config.secrets(), *(secret for platform in platforms for secret in platform.secrets)]
    logs.configure(config.log_format, config.log_level, tokens=tokens)
    for name in settings.unknown_variables(known=wiring.VARIABLES):
        logs.get_logger().warning("settings.unknown", variable=name)
    click.get_current_context().exit(run(service.serve(config, platforms, listen=listen)))
