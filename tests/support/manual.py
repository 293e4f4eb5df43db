"""What an installation has beside the program: pages for man, scripts for shells, and the table for completion."""

import json
import tomllib
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

import click
from click.testing import CliRunner
from click_man.man import ManPage

from receiver.cli import main
from receiver.cli.lazy import Deferred
from support.command import CHECKOUT, commands

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAME: Final = "receiver"
TABLE: Final = "receiver/cli/commands.json"
_SCRIPTS: Final = {
    "bash": "deploy/share/bash-completion/completions/receiver",
    "fish": "deploy/share/fish/vendor_completions.d/receiver.fish",
    "zsh": "deploy/share/zsh/site-functions/_receiver",
}
_LONG: Final = 200


def files() -> dict[str, str]:
    """Every file, by its path in the checkout."""
    pages = {f"deploy/share/man/man1/{name}.1": page(path) for path in commands() for name in [_page_name(path)]}
    scripts = {path: CliRunner().invoke(main, ["completion", shell]).output for shell, path in _SCRIPTS.items()}
    table = json.dumps(_table(main), indent=1, ensure_ascii=False) + "\n"
    return pages | scripts | {TABLE: table}


def _page_name(path: str) -> str:
    return "-".join([NAME, *path.split()])


def page(path: str) -> str:
    """The page of one command."""
    # With the names of the help option, which click keeps at the command from its first use on.
    command: click.Command = main
    context = click.Context(main, info_name=NAME, **main.context_settings)
    for name in path.split():
        assert isinstance(command, click.Group)
        command = _real(command.commands[name])
        context = click.Context(command, info_name=name, parent=context)
    told = ManPage(context.command_path)
    told.version, told.date = _version(), ""
    told.short_help = _roff(_summary(command).removesuffix("."))
    told.synopsis = " ".join(command.collect_usage_pieces(context))
    told.description = _roff(cleandoc(command.help or ""))
    options = [one.get_help_record(context) for one in command.get_params(context) if isinstance(one, click.Option)]
    told.options = [(names, _roff(text)) for names, text in filter(None, options)]
    if isinstance(command, click.Group):
        told.commands = [(name, _roff(_summary(_real(one)))) for name, one in sorted(command.commands.items())]
    return str(told)


def _version() -> str:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _roff(text: str) -> str:
    """No character of a text is an instruction, and its hyphens can be copied as they are."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def _real(command: click.Command) -> click.Command:
    return command.command if isinstance(command, Deferred) else command


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(_LONG)


def _table(command: click.Command) -> dict[str, Any]:
    """What `receiver.cli.completing` reads."""
    parameters = [_parameter(one) for one in command.params if not getattr(one, "hidden", False)]
    told: dict[str, Any] = {"summary": _summary(command), "parameters": parameters}
    if isinstance(command, click.Group):
        told["commands"] = {name: _table(_real(one)) for name, one in sorted(command.commands.items())}
    return told


def _parameter(one: click.Parameter) -> dict[str, Any]:
    is_option = isinstance(one, click.Option)
    told: dict[str, Any] = {"names": one.opts if is_option else [one.name]}
    if isinstance(one, click.Option):
        told["help"] = (one.help or "").partition("\n")[0]
        told |= {"off": one.secondary_opts} if one.secondary_opts else {}
        told |= {"flag": True} if one.is_flag else {}
        told |= {"multiple": True} if one.multiple else {}
    items: list[CompletionItem] = one.shell_complete(click.Context(main), "")
    if any(item.type != "plain" for item in items):
        told["values"] = "file"
    elif items:
        told["values"] = [item.value for item in items]
    return told
