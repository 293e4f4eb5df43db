"""`receiver completion`: prints the script that lets a shell complete the commands."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from receiver.cli.completing import NAME, VARIABLE

_SHELLS = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_SHELLS)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    For this shell: eval "$(receiver completion bash)", in zsh with zsh; in fish: receiver completion fish | source. An
    installation has the scripts beside it, in share/.
    """
    # Not the class's own `source`: that of bash starts a bash, to see how old it is.
    click.echo(ShellComplete.source(_SHELLS[shell](click.Group(NAME), {}, NAME, VARIABLE)), nl=False)
