"""Logs: one chain for our own events and for the libraries' (design, section 6).

structlog events and stdlib records go through the same three steps: `RedactionProcessor` orders the keys and removes
secrets, numbers and texts; a renderer makes a line of bytes; `Output` writes it. Nothing here raises into the code that
logs: a full disk under the log must not cost a report.
"""

import atexit
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from json import dumps
from time import monotonic
from typing import BinaryIO, Final, Literal, Protocol

import orjson
import structlog

from receiver.telemetry.colours import has_colours
from receiver.telemetry.console import Console
from receiver.telemetry.event_line import indented
from receiver.telemetry.log_output import ATOMIC_BYTES, Output
from receiver.telemetry.masking import scrub_error, scrubber
from receiver.telemetry.rate_limit import LogRateLimiter
from receiver.telemetry.redaction import Event, RedactionProcessor, exception_of, report_line
from receiver.telemetry.visible import visible, visible_json_line

LogFormat = Literal["json", "console"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Render = Callable[[str, Event], bytes]


class Log(Protocol):
    """The part of a structlog logger that our code uses: an event's name and its keys."""

    def debug(self, event: str, **keys: object) -> object: ...
    def info(self, event: str, **keys: object) -> object: ...
    def warning(self, event: str, **keys: object) -> object: ...
    def error(self, event: str, **keys: object) -> object: ...
    def critical(self, event: str, **keys: object) -> object: ...
    def exception(self, event: str, **keys: object) -> object: ...
    def bind(self, **keys: object) -> "Log": ...


_EVENTS: Final = 256
"""Size of the cache of scrubbed event names: ours are some dozens, libraries log sentences."""

LIBRARY_LEVELS: Final = {
    "aiohttp.access": logging.WARNING,
    "alembic.runtime.plugins": logging.WARNING,
    "sqlalchemy": logging.WARNING,
}
"""Loggers with nothing for an operator at the level INFO."""

_ON_A_TERMINAL: Final = {"alembic.runtime.migration": logging.WARNING}
"""The same, where a person watches a first start."""

CONNECTION_EVENTS: Final = {
    "HttpProcessingError": "http.malformed",
    "RequestPayloadError": "http.malformed",
    "InvalidURLError": "http.malformed",
    "ConnectionResetError": "http.disconnected",
}
"""Exception (or a base of it) in a record of `aiohttp.server` → the event that replaces its traceback."""

CONNECTION_LINES_PER_SECOND: Final = 5

_OMITTED: Final = " […] "


def _render_json(_method: str, event: Event) -> bytes:
    try:
        line = orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, integers beyond 64 bits
        line = dumps(event, default=str, skipkeys=True).encode() + b"\n"
    return visible_json_line(line)


def _plain_renderer() -> Render:
    """For `console` where there is no terminal: nobody watches, so every line is there with all its keys."""
    pretty = structlog.dev.ConsoleRenderer(
        colors=False, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )

    def render(method: str, event: Event) -> bytes:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = indented(value) if key == "exception" else visible(value)
        return f"{pretty(None, method, event)}\n".encode(errors="backslashreplace")

    return render


def _short_renderer(render: Render, keys: Event) -> Render:
    """Add the keys, and shorten the longest text of a line that one atomic write could not take."""

    def render_short(method: str, event: Event) -> bytes:
        event.update(keys)
        before = dict(event)  # a renderer may take keys out of it
        while len(line := render(method, event)) > ATOMIC_BYTES:
            longest = max((key for key in before if isinstance(before[key], str)), key=lambda key: len(before[key]))
            if len(before[longest]) < len(_OMITTED):
                return line[: ATOMIC_BYTES - 1] + b"\n"
            before[longest] = _middle_omitted(before[longest])
            event = dict(before)
        return line

    return render_short


def _middle_omitted(text: str) -> str:
    """About half of it: of a traceback, the first lines and the last tell most."""
    quarter = len(text) // 4
    return f"{text[:quarter]}{_OMITTED}{text[-quarter:]}" if quarter > len(_OMITTED) else ""


@dataclass(slots=True)
class _Watched:
    """The terminal to which this process logs, if it does to one."""

    console: Console | None = None


_watched: Final = _Watched()


class _Handler(logging.Handler):
    """Passes the stdlib's records into the same chain."""

    def __init__(self, redact: RedactionProcessor, render: Render, output: Output) -> None:
        super().__init__()
        self._redact, self._render, self._output = redact, render, output
        self._limit = LogRateLimiter(CONNECTION_LINES_PER_SECOND)

    def emit(self, record: logging.LogRecord) -> None:
        event = self._event(record)
        if event is not None:
            level = record.levelname.lower()
            self._output.info(self._render(level, self._redact(None, level, event)))

    def _event(self, record: logging.LogRecord) -> Event | None:
        error = exception_of(record.exc_info)
        short = _connection_event(record.name, error)
        if short is not None:
            suppressed = self._limit.admit(short, monotonic())
            _lower_level(record)
            keys = {"remote": _remote(record), "error": type(error).__name__, "suppressed": suppressed or None}
            found = {key: value for key, value in keys.items() if value is not None}
            return None if suppressed is None else {"event": short, "logger": record.name, **found}
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        event: Event = {"event": scrub_error(message, self._redact.scrub), "logger": record.name}
        if error is not None:
            event["exc_info"] = error
        return event


def _connection_event(logger: str, error: BaseException | None) -> str | None:
    """The event for a malformed request or a lost connection; None for a bug of ours, which keeps its traceback."""
    if logger != "aiohttp.server" or error is None:
        return None
    names = (base.__name__ for base in type(error).__mro__)
    return next((CONNECTION_EVENTS[name] for name in names if name in CONNECTION_EVENTS), None)


def _lower_level(record: logging.LogRecord) -> None:
    """Log a stranger's bad request as a warning at most; records below that keep their level."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"


def _remote(record: logging.LogRecord) -> str | None:
    return str(record.args[0]) if isinstance(record.args, tuple) and record.args else None


def configure(
    format: LogFormat | None,  # noqa: A002 - named as the setting
    level: LogLevel,
    *,
    tokens: Iterable[str] = (),
    stream: BinaryIO | None = None,
    shared: bool = False,
    worker: int | None = None,
) -> None:
    """Send every log line of the process to `stream` (stdout), with phone numbers and `tokens` masked.

    Without a format: `console` on a terminal, `json` elsewhere. With `shared` other processes write there too, and
    lines stay whole; those of a worker have its number.
    """
    terminal = (stream or sys.stdout).isatty()
    chosen = format or ("console" if terminal else "json")
    scrub = scrubber(tokens)
    redact = RedactionProcessor(scrub, lru_cache(maxsize=_EVENTS)(scrub))
    output = Output(stream, shared=shared or worker is not None)
    number = logging.getLevelNamesMapping()[level]
    reset()
    if chosen == "json":
        render: Render = _render_json
        if number <= logging.INFO:
            report_line.write_to(output, redact.scrub_event, worker)
    elif terminal:
        console = _watched.console = Console(output, redact, colours=has_colours(), worker=worker)
        render = console.render
        if number <= logging.INFO:
            report_line.show_by(console.report)
    else:
        render = _plain_renderer()
    if shared or worker is not None:
        render = _short_renderer(render, {} if worker is None else {"worker": worker})
    # Loggers are not cached: a cache saves 1.4 µs an event, but ties a module's logger to the first configuration.
    structlog.configure(
        processors=[redact, lambda _logger, method, event: render(method, event)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(handler)
    root.addHandler(_Handler(redact, render, output))
    root.setLevel(number)
    for name, least in (LIBRARY_LEVELS | (_ON_A_TERMINAL if terminal and chosen == "console" else {})).items():
        logging.getLogger(name).setLevel(max(least, number))
    logging.captureWarnings(capture=True)


def tells() -> bool:
    """Whether the log goes to a terminal, where INFO is shown."""
    return _watched.console is not None and logging.getLogger().isEnabledFor(logging.INFO)


def tell(text: str) -> None:
    """Write lines for the person at the terminal, where there is one. They are not redacted: give it no secret."""
    if _watched.console is not None and tells():
        _watched.console.tell(text)


@atexit.register
def finish() -> None:
    """Tell of what is counted and not told yet: the last part of a second."""
    if _watched.console is not None:
        _watched.console.flush()


def reset() -> None:
    """As before `configure`, but for the handlers of the root logger."""
    finish()
    _watched.console = None
    report_line.stop()
    structlog.reset_defaults()


def get_logger() -> Log:
    """A structlog logger; keys are bound to it or given with each event."""
    log: Log = structlog.get_logger()
    return log
