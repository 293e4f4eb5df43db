"""`receiver check` as the tests run it: its findings, by subject and level."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.preloaded import Commands

SECRET = "hunter2-hunter2"


class Found:
    """The findings of a run, by subject and level."""

    def __init__(self, code: int, told: dict[str, Any]) -> None:
        self.code, self.errors, self.all = code, told["errors"], told["findings"]

    def __call__(self, subject: str, level: str) -> str:
        """What is said of it, with what to do, a line each."""
        shown = [
            f"{one['what']} → {one['advice']}" for one in self.all if (one["subject"], one["level"]) == (subject, level)
        ]
        return "\n".join(shown)


def checking(commands: Commands, data_dir: Path, database: str) -> Callable[..., Any]:
    """A run of it with a set-up that is well, but for what a test changes."""

    async def run(**changes: object) -> Found:
        given = {"database_url": database, "data_dir": data_dir, "port": 0, "ops_port": 0} | changes
        ended = await commands.run("check", "--json", **given)
        assert SECRET not in ended.out + ended.err
        found = Found(ended.code, ended.json)
        assert found.code == int(any(one["level"] == "error" for one in found.all))
        assert found.errors == len([one for one in found.all if one["level"] == "error"])
        assert all(one["advice"] or one["level"] == "ok" or ":" in one["what"] for one in found.all), found.all
        return found

    return run


@contextmanager
def listening() -> Iterator[int]:
    """Something else's port."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]
