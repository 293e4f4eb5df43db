"""A running service under fire: well-formed requests with mutated bodies, and bytes that are hardly HTTP."""

import asyncio
import re
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import aiohttp
from support.dialects import assert_bad, assert_good, good_body
from support.process import ServiceProcess
from support.service import answer_of

from fuzz.inputs import Inputs, media_type
from receiver.providers import ENDPOINTS, SUBMISSIONS, url_path

WORKERS: Final = 8
HANG_S: Final = 30.0
BUSY: Final = 503
"""The service may say that nothing can keep a report now; any other 5xx is a fault."""

GROWTH_MIB: Final = 64.0
"""Beyond what it had when warm. A leak of 1 KiB a request would be more than that within a minute."""

_MOMENT_S: Final = 0.1
_STATUS: Final = re.compile(rb"(?:^|\n)HTTP/1\.[01] (\d{3}) ")


@dataclass
class Fire:
    """What was sent to one service, and what is wrong with what came of it."""

    service: ServiceProcess
    inputs: Inputs
    ends: float
    tls: ssl.SSLContext | None = None
    answers: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def report(self, part: str, number: int, what: str, sent: bytes) -> None:
        self.found.append(f"{part}, case {number}: {what}: {sent[:300]!r}")

    def seen(self, part: str, number: int, status: int, sent: bytes) -> None:
        self.answers[f"{part} {status}"] += 1
        if status >= 500 and status != BUSY:
            self.report(part, number, f"answered {status}", sent)


async def run(
    service: ServiceProcess, inputs: Inputs, seconds: float, tls: ssl.SSLContext | None = None
) -> tuple[Counter[str], list[str]]:
    """Answers by part and status, and what was found."""
    began = time.monotonic()
    fire = Fire(service, inputs, began + seconds, tls)
    warm = asyncio.create_task(_memory_later(service, seconds / 4))
    parts = [_callbacks, _submissions, _bytes, _bytes_to_ops]
    async with asyncio.TaskGroup() as group:
        for worker in range(WORKERS):
            part = parts[worker % len(parts)]
            group.create_task(_until_the_end(fire, part, worker // len(parts), WORKERS // len(parts)))
    await _afterwards(fire, await warm)
    return fire.answers, fire.found


SegmentState = Callable[[Fire, aiohttp.ClientSession, int], Awaitable[None]]


async def _until_the_end(fire: Fire, part: SegmentState, first: int, step: int) -> None:
    number = first
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HANG_S)) as client:
        while time.monotonic() < fire.ends and fire.service.alive:
            number += step
            await part(fire, client, number)


async def _callbacks(fire: Fire, client: aiohttp.ClientSession, number: int) -> None:
    """Every answer is in the shape of the URL's provider, and JSON is what it says."""
    given = fire.inputs.given(fire.inputs.dice("callbacks", number), list(ENDPOINTS))
    url, headers = fire.service.url + url_path(given.path), {"Content-Type": media_type(given.path)}
    try:
        async with client.post(url, data=given.body, headers=headers, ssl=fire.tls or False) as response:
            status, answer = response.status, await answer_of(response)
        fire.seen("callbacks", number, status, given.body)
        assert_good(given.path, answer) if status == 200 else assert_bad(given.path, answer, busy=status == BUSY)
    except (aiohttp.ClientError, TimeoutError, AssertionError, ValueError) as error:
        fire.report("callbacks", number, f"{given.path}: {error!r}", given.body)


async def _submissions(fire: Fire, client: aiohttp.ClientSession, number: int) -> None:
    given = fire.inputs.given(fire.inputs.dice("submissions", number), list(SUBMISSIONS))
    url = f"http://127.0.0.1:{fire.service.ops_port}{url_path(given.path)}?correlation=fuzz"
    try:
        async with client.post(url, data=given.body) as response:
            status, answer = response.status, await response.json()
        fire.seen("submissions", number, status, given.body)
        if "error" not in answer or (status == 200) != ("stored" in answer):
            fire.report("submissions", number, f"{status} {answer}", given.body)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fire.report("submissions", number, repr(error), given.body)


async def _bytes(fire: Fire, _client: aiohttp.ClientSession, number: int) -> None:
    dice = fire.inputs.dice("bytes", number)
    sent = fire.inputs.raw(dice, list(ENDPOINTS))
    # With TLS some of it comes before the handshake: that is where a stranger's bytes arrive.
    tls = fire.tls if dice.random() < 0.7 else None
    await _exchange(fire, "bytes", number, fire.service.port, sent, tls, dice)


async def _bytes_to_ops(fire: Fire, _client: aiohttp.ClientSession, number: int) -> None:
    dice = fire.inputs.dice("ops bytes", number)
    await _exchange(
        fire, "ops bytes", number, fire.service.ops_port, fire.inputs.raw(dice, list(SUBMISSIONS)), None, dice
    )


async def _exchange(
    fire: Fire, part: str, number: int, port: int, sent: bytes, tls: ssl.SSLContext | None, dice: Random
) -> None:
    """Send it in a few pieces, then end, or hang up; every answer that comes back counts."""
    try:
        async with asyncio.timeout(HANG_S):
            said = await _say(port, sent, tls, dice)
    except TimeoutError:
        fire.report(part, number, f"no end within {HANG_S} s", sent)
        return
    except OSError as error:
        if isinstance(error, ConnectionRefusedError):
            fire.report(part, number, repr(error), sent)
        fire.answers[f"{part} hung up on"] += 1
        return
    statuses = [int(status) for status in _STATUS.findall(said)]
    for status in statuses:
        fire.seen(part, number, status, sent)
    if not statuses:
        fire.answers[f"{part} no answer"] += 1


async def _say(port: int, sent: bytes, tls: ssl.SSLContext | None, dice: Random) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        cut = dice.randrange(len(sent) + 1) if dice.random() < 0.3 else 0
        for piece in (sent[:cut], sent[cut:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if dice.random() < 0.1:
            return b""
        # Not the end first: aiohttp answers nobody who has said that he is done. Nor is there half of a close in TLS.
        said = await _heard(reader)
        if writer.can_write_eof():
            writer.write_eof()
            said += await reader.read()
        return said
    finally:
        writer.transport.abort()


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """What comes until nothing more does for a moment."""
    said = b""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(_MOMENT_S):
                piece = await reader.read(65_536)
            if not piece:
                break
            said += piece
    return said


async def _memory_later(service: ServiceProcess, seconds: float) -> float:
    await asyncio.sleep(seconds)
    return service.memory_mib() if service.alive else 0.0


async def _afterwards(fire: Fire, warm_mib: float) -> None:
    """It lives, serves, has not grown, and its log tells of no fault."""
    service = fire.service
    if not service.alive:
        fire.found.append(f"the service has ended\n{service.tail()}")
        return
    grown = service.memory_mib() - warm_mib
    fire.answers["MiB grown"] = round(grown)
    if grown > GROWTH_MIB:
        fire.found.append(f"memory grew by {grown:.0f} MiB from {warm_mib:.0f}")
    await service.until(lambda answer: answer["status"] == "ready")
    async with aiohttp.ClientSession() as client:
        url, body = f"{service.url}/callback/huawei/report", good_body("huawei/report", "after-the-fire")
        async with client.post(url, data=body, ssl=fire.tls or False) as response:
            if response.status != 200:
                fire.found.append(f"an honest report is answered {response.status}")
    fire.found += [f"log: {line[:500]}" for line in service.noise()]
    fire.found += [
        f"log: {line[:500]}" for line in service.output if '"level":"error"' in line or '"exception"' in line
    ]
