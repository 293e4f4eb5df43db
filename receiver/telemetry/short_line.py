"""A report as one short line for people: the console log of `receiver serve`, and `receiver tail`. Pure."""

from collections.abc import Mapping
from typing import Final
from unicodedata import category, east_asian_width

from receiver.telemetry.visible import visible

MIN_WIDTH: Final = 80
"""Columns that every terminal is taken to have."""

RESET: Final = "\x1b[0m"
GREEN, RED, YELLOW, CYAN, MAGENTA, DIM = (f"\x1b[{number}m" for number in (32, 31, 33, 36, 35, 2))

COLOURS: Final = {
    "delivered": GREEN,
    "undeliverable": RED,
    "rejected": RED,
    "expired": YELLOW,
    "deleted": YELLOW,
    "enroute": CYAN,
    "accepted": CYAN,
    "unknown": MAGENTA,
}
"""Status → the colour in which it is shown."""

_LATENESS: Final = ((9.95, 1, "s", 1), (99.5, 1, "s", 0), (5_940, 60, "m", 0), (172_800, 3_600, "h", 0))
"""(seconds, below which it is shown so; seconds of the unit; unit; decimals); days above, and years."""

_MOST_DAYS: Final = 999

_MAX_CODE: Final = 24
"""A code is cut after so many columns: the platforms' own have twelve at most, and strangers send others."""

_SELECTOR: Final = "\ufe0f"
"""Makes a picture of the character before it, which is as wide as two letters."""

Cell = tuple[str, str]
"""A text and its colour, the empty one for none."""


def short_line(report: Mapping[str, object], *, width: int | None, colours: bool) -> str:
    """The line, without a line end, in at most `width` columns (None: as many as it takes; at least `MIN_WIDTH`).

    `report` has the keys of the log's JSON line, as far as they are known: timestamp (ISO 8601, UTC), event, worker,
    provider, status, recipient or sender (masked already), country, code, lag_s, message_id, reason. What is not a
    `report.stored` says so: `duplicate`, `spooled`, `submission`, `reply`. The message id and the reason are left out
    where they do not fit as a whole.
    """
    kind, _, end = _text(report, "event").partition(".")
    status = _text(report, "status") or kind
    marks = [end] if end not in ("", "stored") else []
    if kind == "submission":
        marks.insert(0, kind)
    worker = _text(report, "worker")
    number = _text(report, "recipient") or _text(report, "sender") or "-"
    code = _cut(_text(report, "code"), _MAX_CODE)
    cells: list[Cell] = [
        (f"{clock(_text(report, 'timestamp'))} ", DIM),
        *([(f"w{worker}".ljust(3), DIM)] if worker else []),
        (padded(_cut(_text(report, "provider"), 12), 8), ""),
        (padded(status, 13), COLOURS.get(status, "")),
        (padded(_cut(number, 17), 15), ""),
        (padded(_text(report, "country"), 2), ""),
        (padded(code, 8), ""),
        (lateness(report.get("lag_s")).rjust(5), ""),
        *((mark, YELLOW) for mark in marks),
    ]
    excess = _columns_of(cells) - width if width is not None else 0
    if excess > 0:
        at = 5 + bool(worker)  # cut the code rather than what comes after it
        cells[at] = (_cut(code, max(1, columns(cells[at][0]) - excess)), "")
    for optional in (_text(report, "message_id"), _text(report, "reason")):
        longer: list[Cell] = [*cells, (optional, DIM)]
        if optional and (width is None or _columns_of(longer) <= width):
            cells = longer
    return coloured(cells, width, colours=colours)


def coloured(cells: list[Cell], width: int | None, *, colours: bool) -> str:
    """The cells with a blank between, cut at the width, without blanks at the end."""
    pieces = []
    left = width
    for number, (text, colour) in enumerate(cells):
        one = f" {text}" if number else text
        if left is not None:
            one = _cut(one, left)
            left -= columns(one)
        pieces.append(f"{colour}{one}{RESET}" if colours and colour and one else one)
    return "".join(pieces).rstrip(" ")


def clock(timestamp: str) -> str:
    """`12:00:01` of `2026-11-22T12:00:01.250Z`."""
    return timestamp[11:19].ljust(8)


def lateness(lag_s: object) -> str:
    """Seconds in at most five columns: `0.4s`, `12m`, `31h`, `400d`; `-` where they are not known."""
    if not isinstance(lag_s, int | float) or isinstance(lag_s, bool):
        return "-"
    for below, unit_s, unit, decimals in _LATENESS:
        if abs(lag_s) < below:
            return f"{lag_s / unit_s:.{decimals}f}{unit}"
    days = round(lag_s / 86_400)
    return f"{days}d" if abs(days) <= _MOST_DAYS else f"{days / 365.25:.0f}y"


def columns(text: str) -> int:
    """Columns of a terminal that a text without control characters takes at most."""
    if text.isascii():
        return len(text)
    return sum(_columns(one) for one in text)


def padded(text: str, width: int) -> str:
    """The text with blanks up to the width."""
    return text + " " * (width - columns(text))


def _columns(one: str) -> int:
    if one == _SELECTOR:
        return 1
    if category(one) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(one) in "WF" else 1


def _columns_of(cells: list[Cell]) -> int:
    """Of the cells with a blank between, blanks at the end not counted."""
    return columns(" ".join(text for text, _ in cells).rstrip(" "))


def _cut(text: str, width: int) -> str:
    """The text in at most so many columns, with `…` in place of what is missing; and of so many characters, if most
    take no column."""
    if columns(text) <= width and len(text) <= 4 * width:
        return text
    kept, left = "", width - 1
    for one in text[: 4 * width]:
        left -= _columns(one)
        if left < 0:
            break
        kept += one
    return f"{kept}…" if width > 0 else ""


def _text(report: Mapping[str, object], key: str) -> str:
    value = report.get(key)
    return "" if value is None else visible(str(value))
