"""Any other event of the log for a terminal: the event, and its keys wrapped beneath it. Pure."""

from collections.abc import Mapping
from typing import Final

from receiver.telemetry.short_line import DIM, RED, RESET, YELLOW, clock, columns
from receiver.telemetry.visible import visible

_INDENT: Final = " " * 10
"""Below the event: no line of a text looks like the beginning of another event."""

_LEVELS: Final = {"debug": DIM, "warning": YELLOW, "error": RED, "critical": RED, "exception": RED}
"""Level, that is told with the event → its colour; INFO is not told."""

_HEAD: Final = frozenset(("timestamp", "level", "event", "exception"))


def event_line(event: Mapping[str, object], *, width: int, colours: bool) -> str:
    """Time, level and event, then every key, and last the traceback; several lines where one is too narrow.

    Lines break at blanks; a word that is longer than a line stays whole, so that it can be copied.
    """
    level = str(event.get("level", ""))
    colour = _LEVELS.get(level)
    name = visible(str(event.get("event", "")))
    head = name if colour is None else f"{level}  {name}"
    words = [word for key, value in event.items() if key not in _HEAD for word in f"{key}={_shown(value)}".split(" ")]
    lines = _wrapped([*head.split(" "), "", *words] if words else head.split(" "), width - len(_INDENT))
    if colours and colour:
        lines[0] = lines[0].replace(level, f"{colour}{level}{RESET}", 1)
    begin = f"{clock(str(event.get('timestamp', '')))}  "
    said = f"\n{_INDENT}".join(lines)
    exception = event.get("exception")
    below = f"\n{indented(exception)}" if isinstance(exception, str) else ""
    return f"{begin}{said}{below}"


def indented(traceback: str) -> str:
    """The text indented, so that no line of it looks like an event's."""
    return visible(f"  {traceback}", keep="\n\t").replace("\n", "\n  ")


def _shown(value: object) -> str:
    text = visible(value if isinstance(value, str) else repr(value))
    plain = not isinstance(value, str) or (text and " " not in text and '"' not in text and "=" not in text)
    return text if plain else '"{}"'.format(text.replace('"', '\\"'))


def _wrapped(words: list[str], width: int) -> list[str]:
    lines = [words[0]]
    used = columns(words[0])
    for word in words[1:]:
        size = columns(word)
        if used + 1 + size > width and used:
            lines.append(word)
            used = size
        else:
            lines[-1] += f" {word}"
            used += 1 + size
    return lines
