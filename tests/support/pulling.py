"""The pull at work: in the test's own process, or in one that can be killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from receiver.pull.journal import AnswerJournal
from receiver.pull.loop import Keep, run_pull
from receiver.pull.source import Opened, Source
from receiver.pull.sources import PLATFORMS
from receiver.service import Runtime, running
from receiver.settings import PREFIX, Settings
from support.cluster import free_port
from support.command import CHECKOUT, Ended, environ_of
from support.databases import connected
from support.preloaded import Commands
from support.tencent_api import Api, Item

SCRIPT = ("-m", "receiver", "pull")


def opened(monkeypatch: pytest.MonkeyPatch, api: Api, **changes: object) -> Opened:
    """The platform, set up by the environment as an operator does it."""
    for name, value in (api.settings | {f"tencent_pull_{key}": value for key, value in changes.items()}).items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", str(value))
    (platform,) = (one.open() for one in PLATFORMS if one.name == "tencent")
    assert platform is not None
    return platform


def pulling(settings: Settings, platform: Opened) -> AbstractAsyncContextManager[Runtime]:
    """`receiver pull` within this process."""
    return running(settings, asyncio.Event(), [platform], listen=False)


class PullProcess:
    """`receiver pull tencent` as a process of its own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self.ops_port = free_port()
        given = {"data_dir": folder / "data", "ops_port": self.ops_port, "log_format": "json"}
        self._settings = given | settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *program: str) -> None:
        environ = environ_of(**self._settings)
        environ["PYTHONPATH"] += f"{os.pathsep}{CHECKOUT / 'tests'}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *(program or SCRIPT), "tencent"),
                cwd=self._folder,
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal would change what SIGHUP means
            )

    async def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, negative for a signal."""
        assert self._process is not None
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def gone(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8")


@asynccontextmanager
async def looping(source: Source, keep: Keep, settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """One loop alone, on the settings' data folder; at the end it is stopped as a service stops it."""
    hand = AnswerJournal(settings.data_dir / "pull", source.path)
    loop = run_pull(source, keep, hand, can_keep=lambda: True, note=lambda _outcome, _count: None)
    task = asyncio.create_task(loop)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def stored(url: str, column: str = "message_id", view: str = "delivery_report") -> list[Any]:
    """One column of a view, sorted, over a connection of its own."""
    async with connected(url) as connection:
        return [row[0] for row in await connection.fetch(f"SELECT {column} FROM sms.{view} ORDER BY 1")]


async def asked(commands: Commands, api: Api, database: str, *numbers: str, **changes: object) -> Ended:
    """`receiver pull tencent --number …`."""
    options = [part for number in numbers for part in ("--number", number)]
    settings = {"database_url": database, "database_timeout_s": 20} | api.settings | changes
    return await commands.run("pull", "tencent", *options, "--since=2026-09-01", "--json", **settings)


def ids(items: Iterable[Item]) -> list[str]:
    return sorted(item["SerialNo"] for item in items)
