"""A stranger's text made fit for a terminal and a log: what they would obey instead of showing it is escaped. Pure.

That is what Unicode calls control and format characters, separators of lines and paragraphs, surrogates, and what has
no meaning yet: a cursor that moves, a colour, a line that ends, letters that run backwards (UAX #9, UTR #36).
"""

from typing import Final
from unicodedata import category

_BLANK: Final = "Zs"
"""Blanks of other widths are no `isprintable`, but harmless, and usual in Chinese."""

_DELETE: Final = b"\x7f"


def visible(text: str, keep: str = "") -> str:
    """The text with escapes as Python writes them, `\\x1b`, `\\u202e`; `keep` is what the layout needs."""
    if text.isprintable():
        return text
    return "".join([one if _is_harmless(one) or one in keep else ascii(one)[1:-1] for one in text])


def visible_json(document: str) -> str:
    """A JSON document that says the same, with escapes as JSON has them; ends of lines are its layout."""
    if document.isprintable():
        return document
    return "".join([one if _is_harmless(one) or one == "\n" else _json_escape(one) for one in document])


def visible_json_line(document: bytes) -> bytes:
    """The same in UTF-8, for what has been written by a serialiser that escapes the control characters of ASCII."""
    if document.isascii() and _DELETE not in document:
        return document
    return visible_json(document.decode()).encode()


def _is_harmless(one: str) -> bool:
    return one.isprintable() or category(one) == _BLANK


def _json_escape(one: str) -> str:
    """Beyond the basic plane two of them, as RFC 8259, section 7, has it."""
    units = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
