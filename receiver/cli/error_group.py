"""Turns every operator's error into one sentence in the terminal, and exit code 1."""

from typing import Any

import click

from receiver.errors import OperatorError
from receiver.telemetry.visible import visible


class ErrorGroup(click.Group):
    """Commands whose errors are printed as one line, with control characters escaped.

    An error may quote untrusted text: a platform's answer, a payload's field, a pasted code.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = visible(error.message)  # click types it as final
            raise
        except OperatorError as error:
            raise click.ClickException(visible(str(error))) from error
        except BrokenPipeError:
            raise  # the reader of our output has closed it: click ends silently
        except OSError as error:  # an error of the machine without a text of ours
            raise click.ClickException(visible(f"{type(error).__name__}: {error}")) from error
