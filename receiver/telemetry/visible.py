"""Escapes characters that a terminal or a log would obey instead of showing them. Pure.

These are Unicode's control and format characters, line and paragraph separators, surrogates, and unassigned code
points: cursor movements, colours, line ends, reversed text (UAX #9, UTR #36).
"""

from typing import Final
from unicodedata import category

_BLANK: Final = "Zs"
"""Spaces of other widths: not `isprintable`, but harmless, and usual in Chinese."""

_DELETE: Final = b"\x7f"


def visible(text: str, keep: str = "") -> str:
    """The text with Python's escapes, `\\x1b`, `\\u202e`; characters in `keep` stay as they are."""
    if text.isprintable():
        return text
    return "".join([one if _is_harmless(one) or one in keep else ascii(one)[1:-1] for one in text])


def visible_json(document: str) -> str:
    """An equal JSON document with JSON's escapes; line feeds stay."""
    if document.isprintable():
        return document
    return "".join([one if _is_harmless(one) or one == "\n" else _json_escape(one) for one in document])


def visible_json_line(document: bytes) -> bytes:
    """As `visible_json`, in UTF-8, for the output of a serialiser that escapes ASCII's control characters."""
    if document.isascii() and _DELETE not in document:
        return document
    return visible_json(document.decode()).encode()


def _is_harmless(one: str) -> bool:
    return one.isprintable() or category(one) == _BLANK


def _json_escape(one: str) -> str:
    """One `\\uXXXX`, or a surrogate pair beyond the basic plane (RFC 8259, section 7)."""
    units = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
