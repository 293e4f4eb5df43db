"""Progress of commands: on a terminal, after a second, and nowhere else."""

import io
import os
import pty
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from receiver.cli import progress as module
from receiver.cli.progress import Progress, progress

CLEAR = "\r\x1b[K"


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """One end to write to, and the descriptor to read at."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as file:
        yield file, master
    os.close(master)


@contextmanager
def never_blocking(descriptor: int) -> Iterator[None]:
    os.set_blocking(descriptor, False)
    yield
    os.set_blocking(descriptor, True)


def read_until(descriptor: int, *words: str) -> str:
    """The pseudo-terminal's output, once it has all of these."""
    seen = ""
    while not all(word in seen for word in words):
        seen += os.read(descriptor, 65_536).decode()
    return seen


def test_long_work_shows_steps_rate_and_note_and_leaves_nothing(terminal, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SHOWN_AFTER_S", 0.0)
    file, screen = terminal
    with progress("reports", 10, file=file) as shown:
        shown.advance(4)
        shown.note("2 failed")
        seen = read_until(screen, "reports  [", "4/10", "/s", " left", "2 failed")
        assert "\n" not in seen, "one line, written over and over"
    assert read_until(screen, CLEAR).endswith(CLEAR)


def test_work_without_a_known_total_shows_how_far_it_is(terminal, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SHOWN_AFTER_S", 0.0)
    file, screen = terminal
    with progress("building", file=file) as shown:
        shown.advance(7)
        assert " left" not in read_until(screen, "building  7  ")
        shown.stage("copying", 100)
        shown.reach(30)
        read_until(screen, "copying  [", "30/100")


def test_short_work_shows_nothing(terminal, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SHOWN_AFTER_S", 60.0)
    file, screen = terminal
    with progress("reports", 10, file=file) as shown:
        shown.advance(10)
    with never_blocking(screen), pytest.raises(BlockingIOError):
        os.read(screen, 1)


def test_nothing_is_drawn_in_a_pipe_nor_where_the_data_goes_to_the_terminal(terminal, monkeypatch) -> None:
    file, _ = terminal

    def fail(*_: object) -> None:
        raise AssertionError("it draws")

    monkeypatch.setattr(module, "_draw", fail)
    pipe = io.StringIO()
    for options in ({"file": pipe}, {"file": file, "output": file}):
        with progress("reports", 10, **options) as shown:
            shown.advance()
    monkeypatch.setenv("TERM", "dumb")
    with progress("reports", 10, file=file):
        pass
    assert pipe.getvalue() == ""


def test_a_long_line_is_cut_and_never_wraps(terminal, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((20, 5)))
    file, screen = terminal
    with progress("x" * 200, file=file):
        seen = read_until(screen, "x" * 19)
    assert "x" * 20 not in seen


def test_work_that_has_not_advanced_yet_has_a_line_too(monkeypatch) -> None:
    """click's bar of unknown length has none after its first second, but an IndexError."""
    shown = Progress("connecting")
    assert shown.line(80).startswith("connecting  ")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 5)
    assert shown.line(80).startswith("connecting  ")


def test_a_total_that_is_learnt_later_gives_the_remaining_time() -> None:
    shown = Progress("rows")
    shown.reach(1)
    assert "/50" not in shown.line(80)
    shown.reach(25, 50)
    assert "25/50" in shown.line(80)
