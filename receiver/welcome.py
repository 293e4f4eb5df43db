"""What a start tells the person at the terminal: what was started, where it listens, what to try, how to stop it."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from receiver import database_hosts
from receiver.extras import DISTRIBUTION
from receiver.providers import PROVIDERS, url_path
from receiver.settings import Settings, variable
from receiver.store import schema
from receiver.telemetry.visible import visible
from receiver.web import listeners

_LABELS: Final = 11
"""Columns of the labels."""

_NO_COMMAND: Final = ("__main__.py", "-c", "-m", "")
"""What stands in the command's place where Python was started, and no script of ours."""


def welcome(
    settings: Settings,
    *,
    server: str | None,
    ops_url: str,
    callbacks_at: tuple[str, str] | None,
    pulled: Sequence[str],
    command: str | None = None,
) -> str:
    """The lines. No secret is in them: a token is a variable of the shell.

    `server` is PostgreSQL's version, None while it cannot be reached. `callbacks_at` is the URL of the callback
    listener and its bound addresses; `pulled` are the sources that are asked for reports.
    """
    command = command or typed()
    rows = [*_database(settings, server, command)]
    if callbacks_at is not None:
        url, bound = callbacks_at
        rows += _listed("callbacks", [url + path for path in listeners.paths(settings)])
        rows.append(("", f"(bound to {bound})"))
    rows += _listed("pulls", pulled)
    locked = f"   (asks for {variable('ops_token')})" if settings.ops_token else ""
    rows.append(("pages", f"{ops_url}/{locked}"))
    if callbacks_at is not None and (example := example_call(settings, callbacks_at[0])):
        rows += _listed("try it", example)
    rows.append(("stop", "Ctrl-C"))
    lines = [f"receiver {version(DISTRIBUTION)}", "", *(f"  {label:<{_LABELS}}{visible(said)}" for label, said in rows)]
    return "\n{}\n".format("\n".join(lines))


def example_call(settings: Settings, url: str) -> list[str]:
    """A command that sends a report, and what to know before it is typed; empty where every platform has to sign."""
    signing = {key.get_secret_value().partition(":")[0] for key in settings.push_keys}
    refused = signing | settings.allowed_addresses.keys() | settings.tls_client_ca.keys()
    for provider in PROVIDERS:
        if provider.example and provider.name not in refused:
            break
    else:
        return []
    target = f"{url}{url_path(provider.endpoints[0].path)}"
    unknown = "--insecure " if settings.tls_certificate else ""
    if not settings.callback_tokens:
        return [f"curl {unknown}{target} -d '{provider.example}'"]
    note = f"(after TOKEN=… with one of {variable('callback_tokens')})"
    return [f"curl {unknown}{target}/$TOKEN -d '{provider.example}'", note]


def typed() -> str:
    """The command as it was typed, or as short as it can be: `receiver`, `.venv/bin/receiver`."""
    program = Path(sys.argv[0])
    if program.name in _NO_COMMAND:
        return f"{_short(Path(sys.executable))} -m receiver"
    found = shutil.which(program.name)
    if found is not None and Path(found) == program.absolute():
        return program.name
    return _short(program)


def _short(program: Path) -> str:
    near = os.path.relpath(program)
    return shlex.quote(near if not near.startswith("..") else str(program.absolute()))


def _database(settings: Settings, server: str | None, command: str) -> Iterator[tuple[str, str]]:
    told = f"PostgreSQL {server}, schema {schema.head()}" if server else "PostgreSQL"
    if settings.database_url is None:
        yield "database", f"{told}, started for this service in {settings.data_dir}"
        yield "", f'psql "$({command} database-url)"'
    else:
        place = database_hosts.place(settings.database_url.get_secret_value())
        yield "database", f"{told} at {place}{'' if server else ': it cannot be reached, so reports go to the spool'}"
        yield "spool", f"{settings.data_dir}"


def _listed(label: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(label if number == 0 else "", line) for number, line in enumerate(lines)]
