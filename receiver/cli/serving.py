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

    several = listen and config.workers > 1
    tokens = [*config.secrets(), *(secret for platform in platforms for secret in platform.secrets)]
    logs.configure(config.log_format, config.log_level, tokens=tokens, shared=several)
    for name in settings.unknown_variables(known=wiring.VARIABLES):
        logs.get_logger().warning("settings.unknown", variable=name)
    if several:
        from receiver.workers import supervisor  # noqa: PLC0415 - a single process does without it

        exit_code = run(supervisor.serve(config, platforms))
    else:
        exit_code = run(service.serve(config, platforms, listen=listen))
    click.get_current_context().exit(exit_code)
