"""The services that are measured, each as a process of its own."""

import asyncio
import os
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Final, NamedTuple

import aiohttp

_TESTS: Final = Path(__file__).parents[1]
CODE: Final = os.pathsep.join(map(str, (_TESTS, _TESTS.parent)))
"""PYTHONPATH of everything that is started: a copy of the checkout measures its own code."""

_START_S: Final = 60.0
_STOP_S: Final = 60.0
_DEAD_URL: Final = "postgresql://nobody@127.0.0.1:1/nowhere"

RECEIVER: Final = ("-m", "receiver", "serve")


class Program(NamedTuple):
    """A command with places for port and database; `code` is another checkout to run it in."""

    command: Sequence[str]
    code: Path | None = None


def _python(*arguments: str) -> Program:
    return Program([sys.executable, *arguments])


PROGRAMS: Final[dict[str, Program]] = {
    "bare": _python("-m", "bench.bare", "{port}"),
    "naive": _python("-m", "bench.naive", "{port}", "{url}"),
    "naive-many": _python("-m", "bench.naive", "{port}", "{url}", "many"),
    "receiver": _python(*RECEIVER),
    "receiver-down": _python(*RECEIVER),
    "receiver-warning": _python(*RECEIVER),
    "receiver-2": _python(*RECEIVER),
    "receiver-no-metrics": _python("-m", "bench.without"),
}
"""The services that can be measured; `bench.programs` adds some."""

_VARIABLES: Final[dict[str, dict[str, str]]] = {
    "receiver-down": {"RECEIVER_DATABASE_URL": _DEAD_URL},
    "receiver-2": {"RECEIVER_WORKERS": "2"},
    "receiver-warning": {"RECEIVER_LOG_LEVEL": "WARNING"},
}


@dataclass(frozen=True, slots=True)
class Server:
    """A service that answers. `ops_url` is the receiver's alone."""

    pid: int
    url: str
    ops_url: str
    folder: Path = field(repr=False)

    async def readiness(self) -> dict[str, Any]:
        """What the receiver says of itself at `/readyz`."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.ops_url}/readyz") as answer:
            report: dict[str, Any] = await answer.json()
            return report


@asynccontextmanager
async def running(name: str, url: str, folder: Path) -> AsyncIterator[Server]:
    """The service of that name on the database, its log in `folder`, stopped by SIGTERM and waited for."""
    port, ops_port = _free_port(), _free_port()
    program = PROGRAMS[name]
    command = [part.format(port=port, url=url) for part in program.command]
    with _opened_log(folder) as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=program.code,
            env=_environment(name, url, folder, port, ops_port),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        await _listening(process, port, folder)
        server = Server(process.pid, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ops_port}", folder)
        if name == "receiver-2":  # it listens before its workers serve
            while (await server.readiness())["status"] != "ready":
                await asyncio.sleep(0.05)
        yield server
    finally:
        await _stopped(process)


def _opened_log(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "log").open("wb")


async def _stopped(process: Process) -> None:
    try:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(name: str, url: str, folder: Path, port: int, ops_port: int) -> Mapping[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RECEIVER_")}
    return {
        **inherited,
        "PYTHONPATH": str(PROGRAMS[name].code or CODE),
        "RECEIVER_DATABASE_URL": url,
        "RECEIVER_DATA_DIR": str(folder / "data"),
        "RECEIVER_HOST": "127.0.0.1",
        "RECEIVER_PORT": str(port),
        "RECEIVER_OPS_PORT": str(ops_port),
        "RECEIVER_SPOOL_MAX_BYTES": "8GiB",
        "RECEIVER_LOG_FORMAT": "json",
        **_VARIABLES.get(name, {}),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listening(process: Process, port: int, folder: Path) -> None:
    deadline = monotonic() + _START_S
    while monotonic() < deadline and process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError(f"the service did not start:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
