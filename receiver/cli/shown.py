"""An error may quote a stranger: a platform's answer, a payload's field, a code that was pasted from somewhere."""

from typing import Any

import click

from receiver.visible import visible


class Shown(click.Group):
    """Commands whose errors show what a terminal would obey instead, in one line."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = visible(error.message)  # click types it as final
            raise
