"""Sending requests at a rate, and noting every answer. Each wait has a deadline."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic

import aiohttp

from receiver.simulate.dialects.base import Push
from receiver.simulate.tally import Outcome, Tally
from receiver.simulate.traffic import Request

Note = Callable[[Request, str, Outcome], None]
"""Called once a request is over, with the answer and its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to, and how fast: `rate` is reports a second, 0 as fast as the answers come; `timeout_s` is for a request.
    `sign` gives the headers with which the platform proves that a push is its own.

    At most `concurrency` requests are under way. At a rate, latency counts from the moment at which a request was due,
    so that a receiver that stalls can't hide it by slowing the sender down. After `give_up` requests in a row without
    the right answer the run ends; 0: never.
    """

    url: str
    token: str | None = None
    rate: float = 0.0
    concurrency: int = 64
    timeout_s: float = 10.0
    give_up: int = 0
    sign: Callable[[str, Push], dict[str, str]] | None = None

    def address(self, path: str) -> str:
        """The callback URL of a push, with the token as its last segment."""
        return "/".join(filter(None, (self.url.rstrip("/"), "callback", path, self.token)))


class GaveUp(Exception):
    """So many requests in a row went wrong that a run has ended. `answer` is the last one's status, or reason."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


async def send(requests: Iterable[Request], target: Target, tally: Tally, note: Note) -> None:
    """Send all of them. Raises GaveUp.

    Cancelled, or when it gives up, it notes requests under way as `interrupted` and leaves the tally in order.
    """
    connector = aiohttp.TCPConnector(limit=target.concurrency)
    timeout = aiohttp.ClientTimeout(total=target.timeout_s)
    begin = monotonic()
    queue = _due(requests, target.rate)
    gave_up = None
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(target.concurrency):
                    workers.create_task(_work(session, queue, begin, target, tally, note))
        except* GaveUp as group:
            gave_up = group.exceptions[0]
        finally:
            tally.elapsed = monotonic() - begin
    if gave_up is not None:
        raise gave_up


def _due(requests: Iterable[Request], rate: float) -> Iterator[tuple[Request, float]]:
    """Each request with the seconds from the beginning at which it is due."""
    told = 0
    for request in requests:
        yield request, told / rate if rate else 0.0
        told += request.reports


async def _work(
    session: aiohttp.ClientSession,
    queue: Iterator[tuple[Request, float]],
    begin: float,
    target: Target,
    tally: Tally,
    note: Note,
) -> None:
    """Take from the queue that all workers share, until it is empty."""
    for request, due in queue:
        if (pause := begin + due - monotonic()) > 0:
            await asyncio.sleep(pause)
        sent = begin + due if target.rate else monotonic()
        try:
            answer, outcome = await _post(session, request, target)
        except asyncio.CancelledError:
            tally.add(request, "interrupted", "unknown", None)
            note(request, "interrupted", "unknown")
            raise
        tally.add(request, answer, outcome, monotonic() - sent if answer.isdigit() else None)
        note(request, answer, outcome)
        if target.give_up and tally.wrong_in_a_row >= target.give_up:
            raise GaveUp(answer)


async def _post(session: aiohttp.ClientSession, request: Request, target: Target) -> tuple[str, Outcome]:
    """The HTTP status, or the reason for having none, and its meaning for the reports in the request."""
    push = request.push
    url = target.address(push.path)
    headers = {**push.headers, "Content-Type": push.content_type, **(target.sign(url, push) if target.sign else {})}
    try:
        async with session.post(url, data=push.body, headers=headers, allow_redirects=False) as response:
            await response.read()
    except TimeoutError:
        return "timeout", "unknown"
    except aiohttp.ClientConnectorError:
        return "no connection", "failed"
    except (aiohttp.ClientError, OSError):
        return "connection lost", "unknown"
    return str(response.status), "ok" if response.status == request.expected_status else "failed"
