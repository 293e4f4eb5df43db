"""Completion in a shell, for each TAB: from a table of the commands, so that none waits for a command's imports.

`make man` writes the table, commands.json; a test holds it equal to the commands.
"""

import json
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import shell_complete

NAME: Final = "receiver"
VARIABLE: Final = "_RECEIVER_COMPLETE"
"""The environment variable by which the scripts ask, as click names it."""

_TABLE: Final = Path(__file__).with_name("commands.json")


def complete(instruction: str) -> int:
    """Print what may come next on the command line that the environment tells. Returns the exit code."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return shell_complete(_command(NAME, table), {}, NAME, VARIABLE, instruction)


def platforms(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Every platform, for an option that takes one."""
    from receiver.catalogue import providers  # noqa: PLC0415 - a TAB reads the table instead

    return [name for name in providers() if name.startswith(incomplete)]


def _command(name: str, told: dict[str, Any]) -> click.Command:
    given: dict[str, Any] = {
        "name": name,
        "short_help": told["summary"],
        "params": [_parameter(one) for one in told["parameters"]],
        "context_settings": {"help_option_names": ["-h", "--help"]},
    }
    if "commands" not in told:
        return click.Command(**given)
    return click.Group(**given, commands=[_command(*one) for one in told["commands"].items()])


def _parameter(told: dict[str, Any]) -> click.Parameter:
    values = told.get("values")
    kind = click.Path() if values == "file" else click.Choice(values) if values else None
    if told["names"][0].startswith("-"):
        flag = told.get("flag", False)
        return click.Option(
            ["/".join([told["names"][0], *told["off"]]), *told["names"][1:]] if "off" in told else told["names"],
            type=None if flag else kind,
            is_flag=flag,
            multiple=told.get("multiple", False),
            help=told["help"],
        )
    return click.Argument(told["names"], type=kind, required=False)
