"""Progress of a command's work: a line on stderr, on a terminal alone, and only for what takes longer than a second.

The line is gone when the work is done, so that the command's own output stands alone. In a pipe, a file or a dumb
terminal nothing is written.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_SHOWN_AFTER_S: Final = 1.0
_EVERY_S: Final = 0.2
_WIDTH: Final = 20
_WIDTHS: Final = 6
"""The bar takes at most this part of a narrow terminal."""
_WHOLE_FROM: Final = 10
"""Rates from here on have no decimals."""

_TEMPLATE: Final = "%(label)s  %(info)s"
_TEMPLATE_WITH_BAR: Final = "%(label)s  [%(bar)s]  %(info)s"

_CLEAR: Final = "\r\x1b[K"
"""To the line's beginning, and erase it (ECMA-48, EL)."""


class Progress:
    """Work that advances. Every method is cheap enough for each row, and does nothing but count without a terminal.

    `shown` tells whether there is one. It is a `receiver.store.told.Told`.
    """

    def __init__(self, label: str, total: int | None = None, *, shown: bool = False) -> None:
        self.shown = shown
        self._lock = threading.Lock()
        self._note = ""
        self.stage(label, total)

    def stage(self, label: str, total: int | None = None) -> None:
        """Begin anew under this label; `total` is the number of steps, None where nobody knows it."""
        bar = _bar(label, total)
        bar.item_show_func = lambda _: self._told(bar)
        with self._lock:
            self._begun = time.monotonic()
            self._bar = bar

    def advance(self, steps: int = 1) -> None:
        """So many steps more are done."""
        with self._lock:
            self._bar.make_step(steps)

    def reach(self, done: int, total: int | None = None) -> None:
        """So many steps are done in all; `total` replaces the one that was known before."""
        with self._lock:
            self._bar.length = total or self._bar.length
            self._bar.make_step(done - self._bar.pos)

    def note(self, text: str) -> None:
        """Show this behind the figures from now on: what is being waited for, say."""
        self._note = text

    def line(self, columns: int) -> str:
        """Label, bar, steps, steps a second, time that remains, note, in one line of a terminal so wide."""
        with self._lock:
            endless = self._bar.length is None
            # Without a length click draws a pulse, at 0 steps behind the bar's end: an IndexError.
            self._bar.width = 0 if endless else min(_WIDTH, columns // _WIDTHS)
            self._bar.bar_template = _TEMPLATE if endless else _TEMPLATE_WITH_BAR
            self._bar.show_pos = bool(self._bar.pos) or not endless
            self._bar.make_step(0)  # so that the rate falls while nothing advances
            return self._bar.format_progress_line()[: columns - 1]

    def _told(self, bar: "ProgressBar[None]") -> str:
        rate = 1 / bar.time_per_iteration if bar.pos and bar.time_per_iteration else 0.0
        known = bar.eta_known and bar.pos and not bar.finished
        facts = (
            f"{rate:,.0f}/s" if rate >= _WHOLE_FROM else f"{rate:.1f}/s" if rate else "",
            f"{bar.format_eta()} left" if known else f"{time.monotonic() - self._begun:.0f} s",
            self._note,
        )
        return "  ".join(filter(None, facts))


def _bar(label: str, total: int | None) -> "ProgressBar[None]":
    unknown: Iterator[None] | None = (None for _ in ()) if total is None else None  # without a length, unlike iter(())
    return click.progressbar(
        unknown,
        length=total,
        label=label,
        width=_WIDTH,
        fill_char="#",
        empty_char="-",
        show_percent=False,
        show_eta=False,
    )


@contextmanager
def progress(
    label: str, total: int | None = None, *, output: IO[bytes] | IO[str] | None = None, file: IO[str] | None = None
) -> Iterator[Progress]:
    """Show the progress of the block's work, which says what it has done: `with progress("reports", 50_000) as shown`.

    `output` is where the work writes its data: nothing is shown if that is a terminal too, where both would mix.
    """
    file = file or sys.stderr
    shown = Progress(label, total, shown=_is_terminal(file) and not (output is not None and _is_terminal(output)))
    if not shown.shown:
        yield shown
        return
    over = threading.Event()
    # A thread, for the loop may be blocked, and some commands have none.
    drawing = threading.Thread(target=_draw, args=(shown, file, over), daemon=True)
    drawing.start()
    try:
        yield shown
    finally:
        over.set()
        drawing.join()


def _is_terminal(file: IO[bytes] | IO[str]) -> bool:
    return file.isatty() and os.environ.get("TERM") != "dumb"


def _draw(shown: Progress, file: IO[str], over: threading.Event) -> None:
    if over.wait(_SHOWN_AFTER_S):
        return
    with suppress(OSError, ValueError):  # the terminal has been closed
        while not over.wait(_EVERY_S):
            columns = os.get_terminal_size(file.fileno()).columns or 80
            # The cursor goes back, so that a log line that comes between takes the place of this one.
            file.write(f"{_CLEAR}{shown.line(columns)}\r")
            file.flush()
        file.write(_CLEAR)
        file.flush()
