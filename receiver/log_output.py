"""Where log lines go: written in bursts, and never at the cost of a report."""

import asyncio
import sys
from collections import deque
from contextlib import suppress
from typing import BinaryIO, Final

LINES_AT_ONCE: Final = 256
"""Most lines that wait for the end of a turn of the event loop."""


class Output:
    """Writes lines of bytes to a stream; None is stdout as it is at that moment.

    What one turn of the event loop logs goes to stdout at its end, at once: a system call costs as much as a line.
    """

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()

    def info(self, line: bytes) -> None:
        self._lines.append(line)
        waiting = len(self._lines)
        if self._stream:
            self._flush()
        elif waiting == 1 or waiting >= LINES_AT_ONCE:
            self._flush_soon(waiting)

    def _flush_soon(self, waiting: int) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command, or another thread
            self._flush()
            return
        if waiting == 1:
            loop.call_soon(self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        # A full disk or a closed pipe: there is nowhere left to say so.
        with suppress(OSError, ValueError):
            stream = self._stream or sys.stdout.buffer
            stream.write(b"".join(lines))
            stream.flush()

    debug = warning = error = critical = info
