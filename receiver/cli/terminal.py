"""Which characters the standard output takes."""

import codecs
import sys
from io import TextIOWrapper
from typing import Final

_ESCAPED: Final = "receiver_escaped"


def write_any_text() -> None:
    """A pipe or a file gets UTF-8, in every locale. A terminal of another encoding gets `\\u4e2d` for what it lacks."""
    codecs.register_error(_ESCAPED, _escaped)
    if isinstance(sys.stdout, TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors=_ESCAPED)
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """With JSON's escapes (RFC 8259, section 7), which do no harm in other texts."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end
