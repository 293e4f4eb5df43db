"""The service as a process of its own, as an operator runs it."""

import asyncio
import contextlib
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from support.cluster import free_port
from support.command import environ_of

_START_S = 60.0
_STOP_S = 30.0
_NOISE = ("Traceback", "Task was destroyed", "never retrieved", "never awaited", "Unhandled", "ResourceWarning")
"""What nobody wants to find in a log, whatever went wrong outside."""


class ServiceProcess:
    """`settings` by field name: `ServiceProcess(folder, database_url=...)`. Its ports outlive restarts.

    One that is no setting: `code`, a folder with another version of the service.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = free_port()
        self.ops_port = free_port()
        self._folder = folder
        given = {"host": "127.0.0.1", "port": self.port, "ops_port": self.ops_port, "data_dir": folder / "data"}
        self._settings = given | {"log_format": "json"} | settings
        self.port = int(str(self._settings["port"]))
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self.output: list[str] = []
        self._of_this_life: list[str] = []

    @property
    def url(self) -> str:
        scheme = "https" if "tls_certificate" in self._settings else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def set(self, **settings: object) -> None:
        """Change settings for the next start."""
        self._settings |= settings

    def launch(self, *wrapper: str) -> None:
        """Start it and return at once; `wrapper` is a command that runs it, such as strace."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [*wrapper, sys.executable, "-W", "default", "-m", "receiver", "serve"],
            cwd=self._folder,
            env=environ_of(**self._settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal would change what SIGHUP means
        )
        self._of_this_life = []
        self._reader = threading.Thread(target=self._read, args=(self._process, self._of_this_life), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes], life: list[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                life.append(text)
                self.output.append(text)

    async def start(self, *wrapper: str) -> None:
        """Start it and wait until it is ready."""
        self.launch(*wrapper)
        await self.until(lambda answer: answer["status"] == "ready")

    async def readiness(self) -> dict[str, Any] | None:
        """What /readyz says; None while it does not answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(f"http://127.0.0.1:{self.ops_port}/readyz") as response,
            ):
                answer: dict[str, Any] = await response.json()
                return answer
        return None

    async def until(self, true_of: Any, within_s: float = _START_S) -> None:
        """Poll /readyz until `true_of` its answer."""
        answer = None
        try:
            async with asyncio.timeout(within_s):
                while (answer := await self.readiness()) is None or not true_of(answer):
                    assert self.alive, self.tail()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {answer}\n{self.tail()}") from None

    async def told(self, *words: str) -> None:
        """Wait until a line of its log has any of these words, since it was started last."""
        try:
            async with asyncio.timeout(_START_S):
                while not any(word in line for word in words for line in self._of_this_life):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not told within {_START_S} s: {words}\n{self.tail()}") from None

    async def drained(self, within_s: float = 60.0) -> None:
        """Wait until PostgreSQL takes reports and the spool is empty."""
        await self.until(
            lambda answer: answer["database"] and answer["spool"]["callbacks"] == 0 and _whole(answer), within_s
        )

    async def spooling(self, callbacks: int = 1) -> None:
        """Wait until so many callbacks are in the spool."""
        await self.until(lambda answer: answer["spool"]["callbacks"] >= callbacks)

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)

    async def terminate(self, within_s: float = _STOP_S) -> int:
        """SIGTERM; the exit code. Raises AssertionError when it does not end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self._process.wait, within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not stopped {within_s} s after SIGTERM:\n{self.tail()}") from None

    def workers(self) -> list[psutil.Process]:
        """The processes of its workers."""
        return [child for child in psutil.Process(self.pid).children() if is_worker(child)]

    async def replace_workers(self) -> None:
        """SIGUSR2, and wait until all have been replaced."""
        before = sum("workers.replaced" in line for line in self.output)
        psutil.Process(self.pid).send_signal(signal.SIGUSR2)
        async with asyncio.timeout(_START_S):
            while sum("workers.replaced" in line for line in self.output) == before:
                await asyncio.sleep(0.02)

    def limit_files(self, size: int | None) -> None:
        """It may not write beyond so many bytes of any file: a full disk that needs no privilege."""
        soft = resource.RLIM_INFINITY if size is None else size
        for process in (psutil.Process(self.pid), *self.workers()):
            process.rlimit(psutil.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def memory_mib(self) -> float:
        """What it keeps in memory."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    def cpu_s(self) -> float:
        """Seconds of a core that it has used."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    def tail(self, lines: int = 30) -> str:
        """The end of its log, without the lines that tell of single reports."""
        told = [line for line in self.output if '"event":"report.' not in line]
        return "\n".join(told[-lines:])

    def noise(self) -> list[str]:
        """Lines of its log that tell of a fault in the code."""
        return [line for line in self.output if any(word in line for word in _NOISE)]


def is_worker(process: psutil.Process) -> bool:
    """Whether it is a worker of a service; no process that has ended is."""
    try:
        return "receiver.workers" in process.cmdline()
    except psutil.Error:
        return False


def _whole(answer: dict[str, Any]) -> bool:
    """Whether all workers serve, and none that is gone has left anything."""
    workers = answer.get("workers", {"wanted": 0, "serving": 0, "spools_left": 0})
    return workers["wanted"] == workers["serving"] and not workers["spools_left"]


@asynccontextmanager
async def running(folder: Path, **settings: object) -> AsyncIterator[ServiceProcess]:
    """A service that is ready; whatever becomes of it in the block, it is gone afterwards."""
    service = ServiceProcess(folder, **settings)
    try:
        await service.start()
        yield service
    finally:
        if service.alive:
            await service.kill()
