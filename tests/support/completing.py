"""What shells should offer for command lines that stop in the middle."""

import os
import sys
from pathlib import Path
from typing import Final

FILE: Final = "a file"

CASES: Final[list[tuple[list[str], set[str]]]] = [
    ([""], {"serve", "simulate", "rejected", "completion"}),
    (["simu"], {"simulate"}),
    (["simulate", ""], {"cloudsms", "huawei", "tencent"}),
    (["rejected", "l"], {"list"}),
    (["rejected", "list", "--provider", "h"], {"huawei"}),
    (["simulate", "huawei", "--sh"], {"--shuffle"}),
    (["simulate", "huawei", "--no-s"], {"--no-shuffle"}),
    (["tail", "-n", "5", "--cou"], {"--country", "--count"}),
    (["export", "reports", "--status", "fail"], {"failed"}),
    (["spool", "export", "--output", ""], {FILE}),
]
"""Words behind the program's name, the last one unfinished; some of what may come, or all if it has begun."""


def environ(line: str = "") -> dict[str, str]:
    """With our program in PATH; with a line, as click's script for bash asks about its end."""
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if not line:
        return here
    return here | {
        "_RECEIVER_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }


def flat(output: str, file: str) -> set[str]:
    """What was offered; `file` is how the shell says that a file's name may come."""
    return {FILE if word == file else word for word in output.split()}
