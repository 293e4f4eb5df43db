"""Strangers who connect and say nothing, or one piece and no more, from many addresses of the loopback: a process.

`python -m support.silent PORT RATE ADDRESSES SECONDS [HEX]` says how many connections it made, and in how long.
"""

import asyncio
import resource
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 10.0


@dataclass
class Flood:
    """`connects` is how many it has made, `seconds` how long it took; both are known when it is over."""

    connects: int = 0
    seconds: float = 0.0


@asynccontextmanager
async def flooding(port: int, *, rate: int, addresses: int, seconds: float, piece: bytes = b"") -> AsyncIterator[Flood]:
    """For as long as it lasts: the block ends with it."""
    arguments = [str(number) for number in (port, rate, addresses, seconds)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.silent", *arguments, piece.hex()),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    flood = Flood()
    try:
        yield flood
        async with asyncio.timeout(seconds + _PATIENCE_S):
            said, _ = await process.communicate()
        flood.connects, flood.seconds = int(said.split()[0]), float(said.split()[1])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _flood(port: int, rate: int, addresses: int, seconds: float, piece: bytes) -> None:
    """Hold as many as there may be descriptors: the oldest have been dropped by then, or have had their time."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(hard - 64, 12_000)
    held: deque[socket.socket] = deque()
    made, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for _ in range(min(int(passed * rate) - made, 200)):
            held.append(_connect(port, f"127.0.1.{1 + made % addresses}", piece))
            made += 1
            if len(held) > most:
                held.popleft().close()
        time.sleep(0.002)
    print(made, time.perf_counter() - began)  # noqa: T201 - the parent reads it


def _connect(port: int, address: str, piece: bytes) -> socket.socket:
    one = socket.socket()
    one.settimeout(0)
    with suppress(OSError):
        one.bind((address, 0))
        one.connect_ex(("127.0.0.1", port))
        if piece:
            one.send(piece)
    return one


if __name__ == "__main__":
    _flood(*map(int, sys.argv[1:4]), float(sys.argv[4]), bytes.fromhex(sys.argv[5]))
