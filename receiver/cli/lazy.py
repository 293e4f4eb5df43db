"""Commands whose modules are imported when they run."""

from functools import cached_property
from importlib import import_module
from typing import Any

import click


class Deferred(click.Command):
    """A placeholder for the command of this name in a module of `receiver.cli`; has its summary without an import."""

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self._module = module

    @cached_property
    def command(self) -> click.Command:
        """The command, imported on first use."""
        module = import_module(f"receiver.cli.{self._module}")
        command: click.Command = getattr(module, str(self.name).replace("-", "_"))
        return command

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """The real command's context, so that it runs and shows its own help."""
        return self.command.make_context(*arguments, **options)
