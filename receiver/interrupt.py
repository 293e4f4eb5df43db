"""Ctrl-C: ends a command at once and silently, unless it has something to close first (`signals`).

A process imports this module of ours first: the fewer it imports itself, the sooner Ctrl-C is handled.
"""

import os
import signal

EXIT_CODE = 130
"""128 plus the number of SIGINT, the convention of shells."""


def exit_on_sigint() -> None:
    """Exit on SIGINT from now on, during imports too, unless the process was started with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, exit_now)


def exit_now(*_signal: object) -> None:
    """Exit without an exception: one raised in an import or a callback is printed with its traceback, and lost."""
    if os.isatty(2):
        os.write(2, b"\n")  # behind the terminal's own ^C
    os._exit(EXIT_CODE)
