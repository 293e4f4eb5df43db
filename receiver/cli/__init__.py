"""The commands of `receiver`. After an error each prints one sentence and exits with 1."""

from typing import Final

import click

from receiver.cli.error_group import ErrorGroup
from receiver.cli.lazy import Deferred
from receiver.cli.terminal import write_any_text
from receiver.telemetry.colours import has_colours

_COMMANDS: Final = (
    ("check", "check", "Look for what is wrong, and say what to do about it."),
    ("completion", "completion", "Print the completion script for a SHELL."),
    ("database-url", "database_url", "Print the URL of the database in use."),
    ("explain", "explain", "Say what a platform's status CODE means and what to do."),
    ("export", "export", "Write reports, messages or replies to a file."),
    ("maintain", "schema", "Make the coming days' partitions and drop old ones."),
    ("message", "message", "Tell what became of a message, by its ID or NUMBER."),
    ("migrate", "schema", "Bring the database's schema and code tables up to date."),
    ("pull", "pull", "Fetch reports from a PLATFORM that does not push them."),
    ("rejected", "rejected", "List, show, replay or purge what was not understood."),
    ("serve", "serve", "Serve the callback URLs until SIGTERM."),
    ("simulate", "simulate", "Send believable callbacks to a running receiver."),
    ("spool", "spool", "Show how much waits on the local disk, or write it out."),
    ("status", "status", "Show on one screen how it goes."),
    ("tail", "tail", "Show reports as a running service keeps them."),
)
"""Name, module, summary: no module is imported before its command is used."""


@click.group(
    cls=ErrorGroup,
    commands=[Deferred(*row) for row in _COMMANDS],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="delivery-report-receiver", prog_name="receiver")
@click.pass_context
def main(context: click.Context) -> None:
    """Receive SMS delivery reports and keep every one of them.

    Settings are environment variables RECEIVER_* or a file .env in the working folder.
    """
    write_any_text()
    if not has_colours():
        context.color = False
