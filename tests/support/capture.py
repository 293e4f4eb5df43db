"""What the service really logs, in the bytes that an operator's log collector would get."""

import io
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from receiver.telemetry import logs


class Captured(io.BytesIO):
    """A stand-in for stdout."""

    @property
    def text(self) -> str:
        return self.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] in names]


@contextmanager
def captured_log(
    style: logs.LogFormat = "json", level: logs.LogLevel = "DEBUG", tokens: Iterable[str] = ()
) -> Iterator[Captured]:
    """Log as `receiver serve` does while the block runs, and as before afterwards."""
    root = logging.getLogger()
    number, handlers = root.level, list(root.handlers)
    stream = Captured()
    logs.configure(style, level, tokens=tokens, stream=stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(number)
        for name in logs.LIBRARY_LEVELS:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
        logs.reset()
