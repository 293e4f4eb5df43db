"""The statements of a script in SQL. Pure."""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"[^"]*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|;|[^-/'"$;]+|.""", re.DOTALL
)


def statements(script: str) -> Iterator[str]:
    """One by one, with the comments before each; not of a function whose body is not a string (BEGIN ATOMIC)."""
    begun: list[str] = []
    for token in _TOKEN.finditer(script):
        begun.append(token.group())
        if token.group() == ";":
            yield "".join(begun)
            begun = []
    if re.sub(r"--[^\n]*", "", "".join(begun)).strip():
        yield "".join(begun)
