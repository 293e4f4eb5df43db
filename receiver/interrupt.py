"""Ctrl-C: ends a command at once and without a word, but for where something has to be closed first (`signals`).

The first of our modules that a process imports: the fewer it imports itself, the sooner Ctrl-C is in its hands.
"""

import os
import signal

EXIT_CODE = 130
"""128 and the number of SIGINT, as shells say it."""


def ends_at_once() -> None:
    """From now on, while modules are still being imported too; a process that was told to ignore it goes on to."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def leave(*_signal: object) -> None:
    """Not by an exception: one that meets an import or a callback is printed, traceback and all, and lost."""
    if os.isatty(2):
        os.write(2, b"\n")  # behind the terminal's own ^C
    os._exit(EXIT_CODE)
