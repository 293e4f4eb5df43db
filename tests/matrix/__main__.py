"""`make test-matrix`: each cell is a run of pytest; what is missing is told and left out.

The Python that `make test` has run on is left out with `--without-own`. With `--quick` each Python runs the unit tests,
and the other PostgreSQL the tests of the SQL itself: CI has not the time for all. Other arguments go to pytest.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from support.command import CHECKOUT
from support.debian import NotAvailableError

from matrix import environments, interpreters, servers

RINGS: Final = ("tests/unit", "tests/golden", "tests/integration")
ASKING_SQL: Final = ("tests/golden", "tests/integration")
"""Of these, tests/conftest.py leaves those that ask the cluster."""

QUICK_RINGS: Final = ("tests/unit",)
QUICK_SQL: Final = (
    "tests/golden/test_sql.py",
    *(f"tests/integration/test_{name}.py" for name in ("migrations", "partitions", "roles", "state_in_sql", "store")),
    "tests/integration/test_write_plans.py",
)

OWN: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def say(line: str) -> None:
    """Before what the next run says."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(title: str, python: str | Path, tests: Iterable[str], arguments: Sequence[str], **more: str) -> bool:
    """Whether the run of these tests is green."""
    say(f"== {title}")
    begun = time.monotonic()
    command = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests, *arguments]
    ended = subprocess.run(command, cwd=CHECKOUT, env=_environ(more), check=False)
    say(f"== {title}: exit code {ended.returncode}, {time.monotonic() - begun:.0f} s")
    return ended.returncode == 0


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    """Not the PYTHONPATH that this program was started with."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more


def on_interpreters(arguments: Sequence[str], *, rings: Sequence[str], without: str | None) -> list[bool]:
    """One run for each version."""
    found = interpreters.found()
    for version in interpreters.VERSIONS:
        if version not in found:
            say(f"== Python {version}: left out: it is not on this machine")
    return [
        run(f"Python {version}", environments.made(version, path), rings, arguments)
        for version, path in found.items()
        if version != without
    ]


def on_servers(arguments: Sequence[str], *, tests: Sequence[str]) -> list[bool]:
    """One run, with this Python."""
    title = f"PostgreSQL {servers.VERSION}"
    try:
        with servers.environment() as more:
            return [run(title, sys.executable, tests, arguments, **more)]
    except NotAvailableError as error:
        say(f"== {title}: left out: {error}")
        return []


def main(arguments: list[str]) -> int:
    """0 if no run failed."""
    options = {"--without-own", "--quick"} & set(arguments)
    given = [argument for argument in arguments if argument not in options]
    rings, asking_sql = (QUICK_RINGS, QUICK_SQL) if "--quick" in options else (RINGS, ASKING_SQL)
    results = [
        *on_servers(given, tests=asking_sql),
        *on_interpreters(given, rings=rings, without=OWN if "--without-own" in options else None),
    ]
    if not results:
        say("== nothing to run: no other Python and no other PostgreSQL is to be had")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
