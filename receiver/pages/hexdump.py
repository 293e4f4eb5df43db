"""Bytes for people: by sixteen in hexadecimal, and as text."""

from typing import Final, NamedTuple

from receiver.telemetry.visible import visible

_WIDTH: Final = 16
_SPACE, _TILDE = ord(" "), ord("~")


class Line(NamedTuple):
    """`offset` in the whole, eight hexadecimal digits; the bytes; and those of them that are printable ASCII."""

    offset: str
    octets: str
    printable: str


def lines(piece: bytes, at: int) -> list[Line]:
    """The bytes of a piece that begins `at`."""
    return [_line(piece[start : start + _WIDTH], at + start) for start in range(0, len(piece), _WIDTH)]


def _line(octets: bytes, at: int) -> Line:
    printable = "".join(chr(one) if _SPACE <= one <= _TILDE else "·" for one in octets)
    return Line(f"{at:08x}", octets.hex(" "), printable)


def text(piece: bytes) -> str:
    """As UTF-8, with escapes for invalid bytes and invisible characters."""
    return visible(piece.decode(errors="backslashreplace"), keep="\n\t")
