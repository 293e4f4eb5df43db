"""How pytest-xdist shares the tests out: `pytest --numprocesses 2`."""

from typing import Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling

SLOWEST_FIRST: Final = ("tests/faults/", "tests/golden/", "tests/integration/", "tests/unit/")
"""The faults wait more than they compute: the worker that begins with them is done when the others are."""

TOGETHER: Final = ("tests/faults/", "tests/golden/", "tests/system/")
"""Folders whose tests share what is dear to make, and which no two of them may break at once."""

APART: Final = ("tests/faults/test_failover.py", "tests/faults/test_recovery.py", "tests/faults/test_unconfirmed.py")
"""In such a folder, but with servers of their own."""

WATCHED: Final = ("tests/system/test_patroni.py", "tests/system/test_rolling.py", "tests/system/test_upgrade.py")
"""In such a folder, with machines of their own that are lost under load: one file after the other, beside the rest."""


class Scheduler(LoadFileScheduling):
    """A worker takes a file at a time, or one of the folders that stay together, in the order of the items."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if file in WATCHED:
            return WATCHED[0]
        return next((folder for folder in TOGETHER if file.startswith(folder) and file not in APART), file)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The order in which the files are given out."""

    def rank(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(SLOWEST_FIRST) if item.nodeid.startswith(folder)), len(SLOWEST_FIRST))

    return sorted(items, key=rank)


def sendable(told: Any) -> Any:
    """A report as a worker can send it: text that is not Unicode, as some tests log it, would end the run."""
    if isinstance(told, str):
        return told.encode(errors="backslashreplace").decode()
    if isinstance(told, dict):
        return {key: sendable(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return type(told)(map(sendable, told))
    return told
