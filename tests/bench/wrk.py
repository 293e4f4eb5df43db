"""Load by wrk: a process of its own that costs a tenth of what a client in Python would."""

import asyncio
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import orjson
from support import debian

_SCRIPT: Final = Path(__file__).with_name("load.lua")

_runs = count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: a kind of load.lua, with so many reports a request, over so many connections.

    Each connection waits for `pause_ms` before its next request, on average.
    """

    kind: str
    connections: int
    reports: int = 1
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back. `refused` are answers other than 2xx, `broken` are requests without any."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int
    broken: int


def command() -> list[str]:
    """How to run wrk; where it is not installed, Debian's package is unpacked into .venv. Raises SystemExit."""
    try:
        return debian.command("wrk", "wrk", "libluajit-5.1-2", "libluajit-5.1-common")
    except debian.NotAvailableError as error:
        raise SystemExit(f"the load comes from wrk: {error}") from error


async def send(url: str, load: Load, seconds: float) -> Answers:
    """Send as fast as the answers come, for so many seconds; every call has message ids of its own."""
    process = await asyncio.create_subprocess_exec(
        *command(),
        "--threads=1",
        f"--connections={load.connections}",
        f"--duration={max(1, round(seconds))}s",
        "--timeout=15s",
        f"--script={_SCRIPT}",
        url,
        "--",
        load.kind,
        str(load.reports),
        str(next(_runs)),
        str(load.pause_ms),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds + 60)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"wrk failed: {(errors or output).decode(errors='replace')}")
    return Answers(**orjson.loads(errors.splitlines()[-1]))
