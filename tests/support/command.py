"""The command line as an operator uses it: a process of its own, in an empty folder, with few variables."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from receiver.cli import main
from receiver.cli.lazy import Deferred
from receiver.settings import PREFIX

CHECKOUT = Path(__file__).parents[2]
DEADLINE_S = 60.0


def commands(command: click.Command = main, path: str = "") -> dict[str, click.Command]:
    """Every command there is, by what one types for it."""
    if isinstance(command, Deferred):
        command = command.command
    found = {path: command}
    for name, inner in (command.commands if isinstance(command, click.Group) else {}).items():
        found |= commands(inner, f"{path} {name}".strip())
    return found


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that an operator reads; AssertionError where it is another number of lines, or no error."""
        (line,) = self.err.splitlines()
        assert self.code == 1, self
        assert line.startswith("Error: "), self
        return line.removeprefix("Error: ")


def environ_of(*, code: Path = CHECKOUT, **settings: object) -> dict[str, str]:
    """What a process of this checkout has, or of another `code`: these settings by field name, and no others."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PYTHON", "PG"))}
    environ |= {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
    return environ | {"PYTHONPATH": str(code)}


async def started(
    *arguments: str, folder: Path, program: tuple[str, ...] = (), stdin: int = DEVNULL, **settings: object
) -> Process:
    """A process of `receiver` with these settings; its output is piped."""
    environ = environ_of(**settings)
    if program:
        del environ["PYTHONPATH"]
    return await asyncio.create_subprocess_exec(
        *(program or (sys.executable, "-m", "receiver")),
        *arguments,
        cwd=folder,
        env=environ,
        stdin=stdin,
        stdout=PIPE,
        stderr=PIPE,
    )


async def receiver(*arguments: str, folder: Path, program: tuple[str, ...] = (), **settings: object) -> Ended:
    """Run `receiver` to its end."""
    return await ended(await started(*arguments, folder=folder, program=program, **settings))


async def ended(process: Process) -> Ended:
    """How it ends, within the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
