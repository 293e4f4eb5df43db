"""Load by wrk: a process of its own that costs a tenth of what a client in Python would."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import orjson

_SCRIPT: Final = Path(__file__).with_name("load.lua")
_FETCHED: Final = Path(__file__).parents[2] / ".venv" / "wrk"
_PACKAGES: Final = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")
_HELP: Final = "wrk is needed for the load: apt-get install wrk (or: brew install wrk)"

_runs = count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: a kind of load.lua, with so many reports a request, over so many connections."""

    kind: str
    connections: int
    reports: int = 1


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
    installed = shutil.which("wrk")
    if installed:
        return [installed]
    if not (_FETCHED / "usr/bin/wrk").exists():
        _fetch()
    libraries = ":".join(str(folder) for folder in (_FETCHED / "usr/lib").glob("*-linux-gnu"))
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={libraries}", str(_FETCHED / "usr/bin/wrk")]


def _fetch() -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise SystemExit(_HELP)
    _FETCHED.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "--quiet=2", "download", *_PACKAGES], cwd=_FETCHED, check=True)
        for package in _FETCHED.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", package, _FETCHED], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(_HELP) from error


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
