"""`receiver pull` that kills itself with signal 9 at a named point: `python -m support.kill_points POINT tencent`.

Each point is what stands before or after one function of the loop.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from receiver.cli.pull import pull
from receiver.pull import loop
from receiver.pull.journal import AnswerJournal
from receiver.store import postgres
from receiver.store.durable import DurableStore

POINTS: dict[str, tuple[Any, str, bool]] = {
    "the call is noted": (AnswerJournal, "begin_call", True),
    "the answer is in memory alone": (AnswerJournal, "write_answer", False),
    "the answer is on the disk without its name": (Path, "rename", False),
    "the answer is on the disk": (AnswerJournal, "write_answer", True),
    "the loop has the answer": (loop, "_keep_with_retries", False),
    "keeping begins": (DurableStore, "keep", False),
    "it is committed and nobody knows": (postgres, "write", True),
    "it is kept": (AnswerJournal, "clear_answer", False),
    "it is let go": (AnswerJournal, "clear_answer", True),
}
"""Owner, function, and whether the end comes after it."""

FATAL = ("the answer is in memory alone", "the answer is on the disk without its name")
"""What the platform has forgotten and our disk does not know yet."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(owner: Any, name: str, after: bool) -> None:
    wrapped = getattr(owner, name)

    def fatal(*arguments: Any, **options: Any) -> Any:
        if not after:
            die()
        result = wrapped(*arguments, **options)
        if not hasattr(result, "__await__"):
            die()
        return _then_die(result)

    setattr(owner, name, fatal)


async def _then_die(work: Any) -> None:
    receipt = await work
    if receipt is None or receipt.stored:
        die()
    return receipt


if __name__ == "__main__":
    arm(*POINTS[sys.argv.pop(1)])
    pull()
