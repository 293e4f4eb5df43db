"""The output of log lines: written in bursts, and never at the cost of a report."""

import asyncio
import os
import select
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO, Final

LINES_AT_ONCE: Final = 256
"""Most lines that are buffered within one turn of the event loop."""


ATOMIC_BYTES: Final = select.PIPE_BUF
"""Lines of several processes that share a pipe stay whole if each write is no longer than this (write(2))."""


class Output:
    """Writes lines of bytes to a stream; None is the current `sys.stdout`.

    The lines of one turn of the event loop go to stdout in one write at its end: a system call costs as much as a line.
    With `shared`, other processes write to it too, and a write is at most `ATOMIC_BYTES`, which the lines must be.
    """

    def __init__(self, stream: BinaryIO | None, *, shared: bool = False) -> None:
        self._stream = stream
        self._shared = shared
        self._lines: deque[bytes] = deque()
        self._scheduled = False

    def info(self, line: bytes) -> None:
        """Write one line. Thread-safe; only lines from the event loop's thread are buffered."""
        self._lines.append(line)
        if self._stream or len(self._lines) >= LINES_AT_ONCE:
            self._flush()
        elif not self._scheduled:
            self._flush_soon()

    def columns(self) -> int:
        """Columns of the terminal; 0 where it is none."""
        with suppress(OSError, ValueError):
            return os.get_terminal_size((self._stream or sys.stdout).fileno()).columns
        return 0

    def _flush_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command, or another thread
            self._flush()
        else:
            self._scheduled = True
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        lines = []
        with suppress(IndexError):  # until it is empty: another thread may take lines too
            while True:
                lines.append(self._lines.popleft())
        # A full disk or a closed pipe cannot be logged.
        with suppress(OSError, ValueError):
            stream = self._stream or sys.stdout.buffer
            if self._shared:
                for piece in pieces(lines):
                    os.write(stream.fileno(), piece)
                return
            stream.write(b"".join(lines))
            stream.flush()

    debug = warning = error = critical = info


def pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines joined to pieces of whole lines, each as long as one atomic write may be."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > ATOMIC_BYTES:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
