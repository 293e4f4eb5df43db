"""The write path alone, in a process of its own (write_driver.py): reports are written and told what they cost."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bench.programs import CHECKOUT

_SCRIPT: Final = Path(__file__).with_name("write_driver.py")


class Written(NamedTuple):
    """What a report cost, in µs of CPU; `stored` are those of all that were not there already."""

    backend_us: float
    client_us: float
    stored: int


@dataclass(slots=True)
class Driver:
    """Writes about messages by their numbers; the same number is the same message."""

    process: Process
    messages: int = 0

    async def write(self, count: int, code: str, flush: int, first: int | None = None, stride: int = 1) -> Written:
        """So many reports: about new messages, or about each `stride`th from the number `first` on."""
        begin = self.messages if first is None else first
        assert self.process.stdin
        command = {"first": begin, "count": count, "size": flush, "code": code, "stride": stride}
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        cost = await self.told()
        self.messages = max(self.messages, begin + count * stride)
        return Written(cost["backend_ns"] / count / 1000, cost["client_ns"] / count / 1000, cost["stored"])

    async def told(self) -> dict[str, int]:
        """The process's next line."""
        assert self.process.stdout
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the process that writes has ended: see above")
        found: dict[str, int] = json.loads(line)
        return found


@asynccontextmanager
async def driving(url: str) -> AsyncIterator[Driver]:
    """A process that writes to this database, which it migrates."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(_SCRIPT),
        url,
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        cwd=CHECKOUT,
    )
    try:
        driver = Driver(process)
        await driver.told()
        yield driver
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
