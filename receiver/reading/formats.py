"""Rows as CSV and as lines of JSON. Pure.

CSV is as RFC 4180 has it, in UTF-8. A spreadsheet takes a cell for a formula that begins with `=`, `+`, `-`, `@`, a
tab or a line end, and these texts are strangers': such a cell gets an apostrophe before it. Plain numbers,
`+8615512345678` and `-3`, and masked ones stay as they are: there is nothing in them to be run. Control characters,
which RFC 4180 does not allow and a terminal obeys, are written as `\\x1b`; tabs and line ends stay.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

import orjson

from receiver.telemetry.visible import visible, visible_json_line

Format = Literal["csv", "jsonl"]
Row = Sequence[object]

FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl")
MEDIA_TYPES: Final[dict[Format, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}

BOM: Final = b"\xef\xbb\xbf"
"""Before a CSV that is made for a spreadsheet: some take it for another encoding otherwise."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER: Final = re.compile(r"[+-]\d{1,32}(\.\d{1,32})?|\+\d{1,15}\*{4}\d{0,15}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_JSON: Final = frozenset(("context", "raw"))
"""Columns that hold JSON as text."""


def header(names: Sequence[str], wanted: Format) -> bytes:
    """The first line: the columns' names; of lines of JSON there is none."""
    return _csv([names]) if wanted == "csv" else b""


def encoder(names: Sequence[str], wanted: Format) -> Callable[[Iterable[Row]], bytes]:
    """The function that makes lines of rows with these columns."""
    if wanted == "csv":
        return lambda rows: _csv([_cell(value) for value in row] for row in rows)
    return lambda rows: b"".join([_json_line(names, row) for row in rows])


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return _CONTROL.sub(lambda found: visible(found[0]), text.getvalue()).encode("utf-8", "replace")


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) and not _NUMBER.fullmatch(value) else value
    if isinstance(value, bool):
        return str(value).lower()
    return str(_plain(value)) if value is not None else ""


def _json_line(names: Sequence[str], row: Row) -> bytes:
    fields = {name: _json(value) if name in _JSON else _plain(value) for name, value in zip(names, row, strict=True)}
    return visible_json_line(orjson.dumps(fields)) + b"\n"


def _json(value: object) -> object:
    return orjson.Fragment(value) if isinstance(value, str) else value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return value
    return str(value) if isinstance(value, UUID) else value
