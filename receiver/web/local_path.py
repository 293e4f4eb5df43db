"""Where a browser is sent after the log-in: a path of this listener, and nothing else."""

import re
from typing import Final
from urllib.parse import unquote

HOME: Final = "/"
_MAX: Final = 2_000
_WRITTEN: Final = re.compile(r"""/[^\x00-\x20\x7f-\U0010ffff\\"<>#]*""")
_LOOPS: Final = frozenset(("/login", "/logout"))


def local_path(text: str) -> str:
    """A path with its query as it came, or `/` for whatever a browser or a proxy might take for more than that.

    `//host` and `/\\host` lead to another host; dots and empty segments can be folded into that.
    """
    if len(text) > _MAX or not _WRITTEN.fullmatch(text):
        return HOME
    path = unquote(text.partition("?")[0])
    segments = path.split("/")[1:]
    is_plain = all(segments[:-1]) and not {".", ".."} & set(segments) and path.isprintable() and "\\" not in path
    return text if is_plain and path not in _LOOPS else HOME
