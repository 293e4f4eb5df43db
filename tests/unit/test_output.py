"""What a command writes where colours are not wanted, where a character cannot be shown, and where nobody listens."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from support.command import environ_of

COMMAND = (sys.executable, "-m", "receiver")
EXPLAIN = (*COMMAND, "explain", "E200027")
STRANGE = "\u9000\u8ba2\U0001f600"
SAYS_IT = f"""
import click
from receiver.cli import main

main.add_command(click.Command("say", callback=lambda: click.echo({STRANGE!r})))
main(["say"])
"""


def in_terminal(command: tuple[str, ...], **environ: str) -> str:
    """What it writes to a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, env=environ_of() | environ, stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        written = b""
        with suppress(OSError):  # the other side is closed
            while chunk := os.read(master, 65_536):
                written += chunk
        assert running.wait(60) == 0, written
    os.close(master)
    return written.decode()


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_every_command_has_colours_only_where_they_are_wanted(environ, coloured) -> None:
    """`explain`, `status`, `message` and `check` had them in spite of NO_COLOR."""
    assert ("\x1b[" in in_terminal(EXPLAIN, **({"NO_COLOR": ""} | environ))) is coloured


def test_a_terminal_of_another_encoding_is_shown_what_it_lacks() -> None:
    """The latest emoji in a message id ended `receiver message` with a traceback."""
    shown = in_terminal((sys.executable, "-c", SAYS_IT), PYTHONIOENCODING="latin-1").strip()
    assert shown == STRANGE.encode("ascii", "backslashreplace").decode().replace(r"\U0001f600", r"\ud83d\ude00")


def test_a_pipe_gets_utf_8_in_every_locale() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SAYS_IT],
        env=environ_of() | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert ended.stdout.decode().strip() == STRANGE


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_reason_to_abort(closed: str) -> None:
    """uvloop took the number of the closed stream for itself, and libuv ended the process with SIGABRT."""
    script = f"exec {sys.executable} -m receiver tail --url http://127.0.0.1:1 {closed}"
    ended = subprocess.run(["sh", "-c", script], env=environ_of(), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ("no service answers" in ended.stderr) is ("2>" not in closed)
