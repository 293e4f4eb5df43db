"""The command line itself: what it imports, and how its help reads."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner
from support.command import CHECKOUT, commands
from support.completing import environ

from receiver.cli import main
from receiver.cli.common import moment

HEAVY = {"aiohttp", "alembic", "asyncpg", "phonenumbers", "sqlalchemy", "tencentcloud"}
WIDTH = 80

IMPORTED = re.compile(r"^import time:.*\| +([\w.]+)$", re.MULTILINE)


def imported(*arguments: str) -> set[str]:
    """The packages that a process of this command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "receiver", *arguments]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in IMPORTED.findall(ended.stderr)}


NOTHING_BUT_CLICK = HEAVY | {"asyncio", "pydantic", "structlog", "uvloop"}


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        *(((option,), NOTHING_BUT_CLICK) for option in ("--help", "-h", "--version")),
        (("explain", "E200027"), HEAVY),
        (("database-url",), {"aiohttp", "alembic", "sqlalchemy"}),
    ],
)
def test_a_command_imports_no_library_that_it_does_not_need(arguments, spared) -> None:
    found = imported(*arguments)
    assert {"receiver", "click"} <= found
    assert found & spared == set()


@pytest.mark.parametrize("line", ["receiver ", "receiver simulate huawei --", "receiver rejected list --provider "])
def test_completion_imports_nothing_but_click(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TAB in a shell is a start of the program."""
    for name, value in environ(line).items():
        monkeypatch.setenv(name, value)
    assert imported() & NOTHING_BUT_CLICK == set()


def test_a_service_loads_nothing_of_the_simulator() -> None:
    """The dialects were a part of the adapters' contract, and every `receiver serve` imported them."""
    script = "import sys, receiver.service, receiver.cli.serve; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    loaded = [name for name in ended.stdout.split() if name.startswith("receiver.")]
    assert "receiver.web.callbacks" in loaded
    assert [name for name in loaded if "simulate" in name or "traffic" in name or "signer" in name] == []


@pytest.mark.parametrize(
    ("text", "hours_ago"),
    [("2026-11-20T09:30:00+02:00", 2.5), ("2026-11-20T10:00", 0), ("2026-11-20", 10), ("24h", None), ("7d", None)],
)
def test_a_time_is_a_moment_in_utc_or_so_long_ago(text: str, hours_ago: float | None) -> None:
    """`pull --since` took the first forms alone, and `export --since` the others too."""
    command = click.Command("pull")
    found = moment(click.Context(command), click.Option(["--since"]), text)
    assert found is not None
    until = datetime.now(UTC) if hours_ago is None else datetime(2026, 11, 20, 10, tzinfo=UTC)
    passed = hours_ago if hours_ago is not None else {"24h": 24, "7d": 168}[text]
    assert abs((until - found).total_seconds() / 3600 - passed) < 0.1


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59Z", "1999-12-31T23:59:59+00:00"])
def test_a_time_that_nobody_means_is_refused(text: str) -> None:
    """It was an OverflowError further on."""
    with pytest.raises(click.BadParameter, match="not between 2000 and 2200"):
        moment(click.Context(click.Command("simulate")), click.Option(["--now"]), text)


@pytest.mark.parametrize("days", ["-5", "nan", "inf", "99999999999"])
def test_an_age_that_nobody_means_deletes_nothing(days: str) -> None:
    """`rejected purge --older-than -5` was about everything there is."""
    ended = CliRunner().invoke(main, ["rejected", "purge", "--older-than", days, "--yes"])
    assert (ended.exit_code, "no number of days from 0" in ended.output) == (2, True)


@pytest.mark.parametrize("path", [path for path, one in commands().items() if isinstance(one, click.Group)])
def test_every_summary_is_whole_within_eighty_columns(path: str) -> None:
    shown = CliRunner().invoke(main, [*path.split(), "--help"], terminal_width=WIDTH).output
    listed = shown.partition("Commands:\n")[2].splitlines()
    group = commands()[path]
    assert isinstance(group, click.Group)
    assert [line.split()[0] for line in listed] == sorted(group.commands)
    assert [line for line in listed if not line.endswith(".") or line.endswith("...") or len(line) > WIDTH] == []
