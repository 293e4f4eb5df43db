"""A command of ours in a terminal: a real one, that can be typed into and closed."""

import asyncio
import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from receiver.embedded.layout import layout_of
from receiver.embedded.processes import processes_of
from support.cluster import free_port
from support.command import environ_of
from support.waiting import DEADLINE_S

CTRL_C = b"\x03"


class InTerminal:
    """`receiver serve`, say, with a pseudo-terminal as the one that controls it; `settings` by field name."""

    def __init__(self, folder: Path, *arguments: str, **settings: object) -> None:
        self.port, self.ops_port = free_port(), free_port()
        self.data_dir = folder / "data"
        self._folder = folder
        self._arguments = arguments
        given = {"host": "127.0.0.1", "port": self.port, "ops_port": self.ops_port, "data_dir": self.data_dir}
        self._settings = given | {"log_format": "json"} | settings
        self._master = -1
        self._process: psutil.Popen | None = None
        self.output = ""

    def start(self, *wrapper: str) -> None:
        """Start it and return at once; `wrapper` is a command that runs it, such as nohup."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._master, slave = pty.openpty()
        self._process = psutil.Popen(
            ["setsid", "--ctty", *wrapper, sys.executable, "-m", "receiver", *self._arguments],
            cwd=self._folder,
            env=environ_of(**self._settings),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):  # the other side is closed, or this one
            while chunk := os.read(self._master, 65_536):
                self.output += chunk.decode(errors="replace")

    async def told(self, *words: str) -> None:
        """Wait until it has said all of these."""
        async with asyncio.timeout(DEADLINE_S):
            while not all(word in self.output for word in words):
                assert self.alive, self.output
                await asyncio.sleep(0.02)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def close(self) -> None:
        """As when a window is closed, or an ssh session ends."""
        os.close(self._master)
        self._master = -1

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return int(self._process.pid)

    async def ended(self) -> int:
        """The exit code, negative for a signal."""
        assert self._process is not None
        try:
            return int(await asyncio.to_thread(self._process.wait, DEADLINE_S))
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            raise AssertionError(f"it has not ended:\n{self.output}") from None

    async def gone(self) -> None:
        """Whatever has become of it, it and what it has started are no more; nor is what a shell has left behind."""
        if self._process is not None:
            _kill([one for one in psutil.process_iter() if _session(one) == self.pid])
            await self.ended()
        _kill(processes_of(layout_of(self.data_dir).pgdata))
        if self._master >= 0:
            self.close()


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


def _kill(processes: list[psutil.Process]) -> None:
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()
