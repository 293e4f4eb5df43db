"""The one place where an error that somebody can mend ends: a sentence for a terminal, and exit code 1."""

from typing import Any

import click

from receiver.errors import OperatorError
from receiver.telemetry.visible import visible


class Shown(click.Group):
    """Commands whose errors show what a terminal would obey instead, in one line.

    An error may quote a stranger: a platform's answer, a payload's field, a code that was pasted from somewhere.
    """

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = visible(error.message)  # click types it as final
            raise
        except OperatorError as error:
            raise click.ClickException(visible(str(error))) from error
        except BrokenPipeError:
            raise  # whoever read our output has had enough: click ends without a word
        except OSError as error:  # the machine's, where nobody knew a better word for it
            raise click.ClickException(visible(f"{type(error).__name__}: {error}")) from error
