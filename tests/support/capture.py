"""What the service really logs, in the bytes that an operator's log collector would get."""

import io
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from receiver.telemetry import logs

Style = Literal["json", "console", "terminal"]
"""`terminal`: what `console` is on one."""


class Captured(io.BytesIO):
    """A stand-in for stdout, on a terminal or not."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal

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
    style: Style = "json", level: logs.LogLevel = "DEBUG", tokens: Iterable[str] = ()
) -> Iterator[Captured]:
    """Log as `receiver serve` does while the block runs, and as before afterwards; on a terminal without colours."""
    root = logging.getLogger()
    number, handlers = root.level, list(root.handlers)
    stream = Captured()
    stream.terminal = style == "terminal"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
        logs.configure("console" if style == "terminal" else style, level, tokens=tokens, stream=stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(number)
        for name in logs.LIBRARY_LEVELS:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
        logs.reset()
