"""Browsers that are open while the receiver is measured: each watches the live stream, and some load pages too.

A process of its own, as browsers are: `python -m bench.visitors URL KIND`. It says `open` once all watch, and at
its end what they have seen.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Final, NamedTuple

import aiohttp
import click

from bench.processes import started
from receiver.pages.routes import MENU

_EVERY_S: Final = 2.0
"""A person who looks at pages looks at each for so long."""

_OPEN_S: Final = 30.0


class Visitors(NamedTuple):
    """So many browsers with a live page whose filters are `query`, each going round the `pages` meanwhile."""

    number: int
    query: str = ""
    pages: tuple[str, ...] = ()


VISITORS: Final = {
    "ten watch": Visitors(10),
    "ten watch with a filter": Visitors(10, "status=delivered&status=rejected"),
    "ten watch, and load a page every 2 s": Visitors(10, pages=tuple(entry.path for entry in MENU)),
}
"""By what they do, as the table says it."""


@dataclass(slots=True)
class Seen:
    """Events of all streams, and pages that were loaded."""

    rows: int = 0
    sampled: int = 0
    pages: int = 0


@asynccontextmanager
async def visiting(ops_url: str, kind: str | None) -> AsyncIterator[None]:
    """The visitors of that kind while the block runs. Raises RuntimeError where they have seen nothing."""
    if kind is None:
        yield
        return
    async with started(sys.executable, "-m", "bench.visitors", ops_url, kind) as process:
        assert process.stdout is not None
        async with asyncio.timeout(_OPEN_S):
            if await process.stdout.readline() != b"open\n":
                raise RuntimeError(f"{kind}: no stream")
        yield
        process.send_signal(signal.SIGTERM)
        seen = json.loads(await process.stdout.readline() or b"{}")
    if not seen.get("rows") or (VISITORS[kind].pages and not seen.get("pages")):
        raise RuntimeError(f"{kind}: they have seen {seen}")


async def _visit(ops_url: str, visitors: Visitors) -> Seen:
    seen, stop = Seen(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        opened = [asyncio.Event() for _ in range(visitors.number)]
        url = f"{ops_url}/live/events?{visitors.query}"
        tasks = [asyncio.create_task(_watch(client, url, seen, one)) for one in opened]
        await asyncio.gather(*(one.wait() for one in opened))
        click.echo("open")
        readers = range(visitors.number if visitors.pages else 0)
        tasks += [asyncio.create_task(_read(client, ops_url, visitors, number, seen)) for number in readers]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # raises what ended it
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return seen


async def _watch(client: aiohttp.ClientSession, url: str, seen: Seen, opened: asyncio.Event) -> None:
    async with client.get(url, raise_for_status=True) as response:
        opened.set()
        async for line in response.content:
            seen.rows += line.startswith(b"data: ")
            seen.sampled += line.startswith(b"event: sampled")


async def _read(client: aiohttp.ClientSession, ops_url: str, visitors: Visitors, number: int, seen: Seen) -> None:
    await asyncio.sleep(number * _EVERY_S / visitors.number)
    for page in islice(cycle(visitors.pages), number % len(visitors.pages), None):
        async with client.get(ops_url + page, headers={"Accept": "text/html"}, raise_for_status=True) as response:
            await response.read()
        seen.pages += 1
        await asyncio.sleep(_EVERY_S)


if __name__ == "__main__":
    found = asyncio.run(_visit(sys.argv[1], VISITORS[sys.argv[2]]))
    click.echo(json.dumps(asdict(found)))
