"""`receiver check`: what keeps the receiver from working, or might, each with what to do."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import Final

import click

from receiver.checks import whole
from receiver.checks.finding import Finding, Level
from receiver.checks.given import given
from receiver.cli.common import run
from receiver.telemetry import logs
from receiver.telemetry.visible import visible, visible_json

_COLOURS: Final[dict[Level, str]] = {"ok": "green", "warning": "yellow", "error": "red"}

_SUBJECT: Final = 21
_LEVEL: Final = 9


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Leave out what is well.")
def check(*, as_json: bool, quiet: bool) -> None:
    """Look at everything that the receiver needs, and say what to do where something is wrong.

    Settings, data folder, spool, database, schema, rights, certificates, ports and limits. Nothing is started and
    nothing is written; it can be run beside a running receiver.

    Exit code 0: nothing is wrong, though there may be warnings. 1: something is.
    """
    known = given()
    secrets = known.settings.secrets() if known.settings else []
    logs.configure(None, "CRITICAL", tokens=secrets, stream=sys.stderr.buffer)

    async def findings() -> list[Finding]:
        return [one async for found in whole.look(known) for one in found]

    found = run(findings())
    count = {level: sum(one.level == level for one in found) for level in _COLOURS}
    shown = [one for one in found if not (quiet and one.level == "ok")]
    if as_json:
        told = {"findings": [asdict(one) for one in shown], "errors": count["error"], "warnings": count["warning"]}
        click.echo(visible_json(json.dumps(told, indent=2)))
    else:
        for one in shown:
            _print(one)
        click.echo(f"{_number(count['error'], 'error')}, {_number(count['warning'], 'warning')}.")
    sys.exit(1 if count["error"] else 0)


def _print(one: Finding) -> None:
    level = click.style(f"{one.level:<{_LEVEL}}", fg=_COLOURS[one.level])
    lines = _wrapped(one.what) + [
        f"→ {line}" if not at else f"  {line}" for at, line in enumerate(_wrapped(one.advice))
    ]
    click.echo(f"{one.subject:<{_SUBJECT}}{level}{lines[0]}")
    for line in lines[1:]:
        click.echo(" " * (_SUBJECT + _LEVEL) + line)


def _wrapped(text: str) -> list[str]:
    """Lines that fit the terminal; one line where there is none, for grep."""
    text = visible(text)
    if not sys.stdout.isatty():
        return [text] if text else []
    width = max(80, shutil.get_terminal_size().columns) - _SUBJECT - _LEVEL - len("→ ")
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
