"""The server's processes: ends our own, and finds and ends those that a killed service left behind."""

import asyncio
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Final

import psutil

from receiver.embedded.errors import StartFailed
from receiver.embedded.layout import Layout, socket_file
from receiver.telemetry.logs import get_logger

log = get_logger()

Step = tuple[signal.Signals, float]

STOP: Final[Sequence[Step]] = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, immediate shutdown, kill (PostgreSQL 18, section 18.5), each with its timeout in seconds."""

_ABRUPT: Final = STOP[1:]
"""For a lone backend: SIGINT would only cancel its statement."""

_POLL_S: Final = 0.02


async def stop(process: Popen[bytes]) -> None:
    """End our own server; if cancelled, abruptly. The process has ended in any case when this returns."""
    try:
        await _end(lambda: process.poll() is None, process.send_signal, STOP)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            with suppress(TimeoutExpired):
                process.wait(timeout=5.0)
            process.kill()
            process.wait()


async def end_leftovers(layout: Layout) -> None:
    """End leftover processes on this folder, and remove stale pid and socket files. The caller holds the lock.

    `postmaster.pid` alone proves nothing: its pid may be a zombie's, or by now another program's, and after
    a kill of the postmaster its backends may still run. Raises `StartFailed`.
    """
    recorded = _recorded_pid(layout.pgdata)
    for postmaster in [process for process in processes_of(layout.pgdata) if process.pid == recorded]:
        log.warning("database.orphan_found", pid=postmaster.pid, folder=str(layout.folder))
        await _end(partial(_is_running, postmaster), partial(_send, postmaster), STOP)
    backends = processes_of(layout.pgdata)
    # Concurrently: each may take its whole timeout, for instance if all are stopped by SIGSTOP.
    await asyncio.gather(*(_end(partial(_is_running, one), partial(_send, one), _ABRUPT) for one in backends))
    if left := processes_of(layout.pgdata):
        raise StartFailed(f"Processes of an earlier PostgreSQL on {layout.pgdata} do not end: {left}.")
    if recorded is None or psutil.pid_exists(recorded):
        # Unreadable, or another program's pid: PostgreSQL would refuse to start. It ignores a dead pid itself.
        (layout.pgdata / "postmaster.pid").unlink(missing_ok=True)
    socket = socket_file(layout)
    for stale in (socket, socket.with_name(f"{socket.name}.lock")):
        stale.unlink(missing_ok=True)


def processes_of(pgdata: Path) -> list[psutil.Process]:
    """Every running process of a server on this folder."""
    return [process for process in psutil.process_iter() if _serves(process, pgdata)]


def _serves(process: psutil.Process, pgdata: Path) -> bool:
    """Whether it is a postgres in the working folder `pgdata`; by its command line where /proc hides the folder."""
    try:
        if process.name() != "postgres" or not _is_running(process):
            return False
        try:
            return process.cwd() == str(pgdata)
        except psutil.AccessDenied:
            return str(pgdata) in process.cmdline()
    except psutil.Error:
        return False


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


async def _end(is_running: Callable[[], bool], send: Callable[[int], None], steps: Sequence[Step]) -> None:
    for number, timeout_s in steps:
        if not is_running():
            return
        send(number)
        deadline = time.monotonic() + timeout_s
        while is_running() and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)


def _recorded_pid(pgdata: Path) -> int | None:
    """The pid in `postmaster.pid`; None without a file, or if a crash left it unreadable."""
    try:
        first, *_ = (pgdata / "postmaster.pid").read_text(errors="replace").splitlines() or [""]
    except FileNotFoundError:
        return None
    return int(first) if re.fullmatch(r"[1-9]\d{0,6}", first.strip(), re.ASCII) else None
