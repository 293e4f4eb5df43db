"""The meaning of providers' status codes: one table per provider, `<provider>.tsv` beside this file, and the look-up.

A table is UTF-8 text without quoting: a header, then one row per code with the columns `code`, `status`, `reason`
(empty for `delivered` and for states that are not final), `meaning`, `advice` and optionally `carriers`.
A code that ends in `:*` is a pattern for every code with that prefix; a `*` anywhere else is literal. Variant
spellings (a decimal rendering, a known misprint) are rows of their own, so that a join in SQL finds them too.

The schema has no reason for a malformed request or for a forbidden hour: such refusals are `not_permitted`, as the
sender's configuration has to change. A code that spells an SMPP state (`EXPIREDS608S`) has that status.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, TypeAdapter, ValidationError

from receiver.report import FINAL, Reason, Status, content_id

COLUMNS: Final = ("code", "status", "reason", "meaning", "advice")
OPTIONAL_COLUMNS: Final = ("carriers",)
SUFFIX: Final = ".tsv"
WILDCARD: Final = ":*"


def _one_line(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("must be one line of text, not empty and without blanks around it")
    return text


Text = Annotated[str, AfterValidator(_one_line)]


class CatalogueError(ValueError):
    """A table breaks the schema; the text names the file, the line and the fault."""


@dataclass(frozen=True, slots=True)
class Code:
    """One row of a table. `code` may be a pattern; `carriers` names the networks that use the code."""

    provider: Text
    code: Text
    status: Status
    reason: Reason | None
    meaning: Text
    advice: Text
    carriers: Text | None = None

    def __post_init__(self) -> None:
        """Check design section 3: a failure has a reason, every other state has none."""
        failed = self.final and self.status is not Status.DELIVERED
        if failed and self.reason is None:
            raise ValueError(f"status {self.status} needs a reason")
        if not failed and self.reason is not None:
            raise ValueError(f"status {self.status} takes no reason")

    @property
    def final(self) -> bool:
        """Whether no other state follows this one."""
        return self.status in FINAL


class _Table(NamedTuple):
    rows: tuple[Code, ...]
    exact: dict[str, Code]
    patterns: tuple[tuple[str, Code], ...]  # prefix with its colon, the longest first


_ROW: Final = TypeAdapter(Code)


def lookup(provider: str, code: str) -> Code | None:
    """The row of this code, else of the longest matching pattern, else None. Never raises."""
    table = _tables().get(provider)
    if table is None:
        return None
    found = table.exact.get(code)
    if found is not None:
        return found
    return next((row for prefix, row in table.patterns if code.startswith(prefix)), None)


def find(code: str, provider: str | None = None) -> list[Code]:
    """The rows of this code at each provider, or at one, in upper or lower case; for `receiver explain`."""
    names = _tables() if provider is None else (provider,)
    return [row for name in names if (row := lookup(name, code) or _lookup_any_case(name, code)) is not None]


def _lookup_any_case(provider: str, code: str) -> Code | None:
    """As `lookup`, ignoring case. No two codes of one table differ by case alone."""
    table = _tables().get(provider, _Table((), {}, ()))
    folded = code.casefold()
    found = next((row for row in table.rows if row.code.casefold() == folded), None)
    return found or next((row for prefix, row in table.patterns if folded.startswith(prefix.casefold())), None)


def providers() -> tuple[str, ...]:
    """The names of the providers with a table."""
    return tuple(_tables())


@cache
def entries() -> tuple[Code, ...]:
    """Every row of every table, sorted by provider, then in the order of the file."""
    return tuple(row for table in _tables().values() for row in table.rows)


@cache
def fingerprint() -> str:
    """A hash of `entries()`, equal on every machine for equal contents."""
    return str(content_id(*(str(value) for row in entries() for value in _values(row))))


def parse(provider: str, table: bytes) -> tuple[Code, ...]:
    """The rows of one table in the order of its file. Raises CatalogueError."""
    file = provider + SUFFIX
    header, *lines = table.removesuffix(b"\n").split(b"\n")
    columns = tuple(header.decode(errors="replace").split("\t"))
    if columns not in (COLUMNS, COLUMNS + OPTIONAL_COLUMNS):
        raise CatalogueError(f"{file}, line 1: the header is {columns}, not {COLUMNS} (and {OPTIONAL_COLUMNS})")
    rows: dict[str, Code] = {}
    for number, line in enumerate(lines, start=2):
        try:
            row = _row(provider, columns, line.decode().split("\t"))
        except ValueError as error:
            raise CatalogueError(f"{file}, line {number}: {_describe(error)}") from error
        if row.code in rows:
            raise CatalogueError(f"{file}, line {number}: code {row.code!r} stands in the table already")
        rows[row.code] = row
    return tuple(rows.values())


def _row(provider: str, columns: tuple[str, ...], cells: list[str]) -> Code:
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells under {len(columns)} columns")
    values: dict[str, str | None] = dict(zip(columns, cells, strict=True))
    values["reason"] = values["reason"] or None
    return _ROW.validate_python({"provider": provider, **values})


def _describe(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(": ".join([*(str(part) for part in detail["loc"]), detail["msg"]]) for detail in error.errors())


def _values(row: Code) -> tuple[str | None, ...]:
    return (row.provider, row.code, row.status, row.reason, row.meaning, row.advice, row.carriers)


@cache
def _tables() -> dict[str, _Table]:
    return dict(sorted(_load()))


def _load() -> Iterator[tuple[str, _Table]]:
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(SUFFIX):
            provider = file.name.removesuffix(SUFFIX)
            yield provider, _index(parse(provider, file.read_bytes()))


def _index(rows: tuple[Code, ...]) -> _Table:
    patterns = [(row.code.removesuffix("*"), row) for row in rows if row.code.endswith(WILDCARD)]
    patterns.sort(key=lambda pattern: len(pattern[0]), reverse=True)
    return _Table(rows, {row.code: row for row in rows}, tuple(patterns))
