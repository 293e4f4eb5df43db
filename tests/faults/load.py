"""The load: a process of its own that posts unique reports at a steady rate and notes each before and after.

    python load.py --url http://127.0.0.1:8080 --ledger FILE [--rate 150] [--connections 16] [--run NAME] [--fresh]
        [--authorities FILE --server-name NAME]

SIGTERM ends it: what is under way is awaited, and the exit code is 0. The ledger's format: support/ledger.py.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import ssl
import time
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlencode

import aiohttp

CLIENT_TIMEOUT_S = 40.0
"""Far beyond the service's deadline: a request that takes this long hangs."""

BATCH = 10
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def huawei_single(ids: list[str]) -> tuple[str, str, bytes]:
    fields = {"sequence": 1, "total": 1, "source": 2, "updateTime": "2026-11-20T06:31:46Z", "status": "DELIVRD"}
    return "/callback/huawei/report", FORM, urlencode(fields | {"smsMsgId": ids[0]}).encode()


def huawei_batch(ids: list[str]) -> tuple[str, str, bytes]:
    reports = [{"smsMsgId": i, "status": "DELIVRD", "sequence": "1", "total": "1", "source": "2"} for i in ids]
    return "/callback/huawei/reports", JSON, json.dumps({"statusReportList": reports}).encode()


def cloudsms_single(ids: list[str]) -> tuple[str, str, bytes]:
    result = {"COUNTRY_CODE": 852, "DEST_MSISDN": "67123411", "SMS_STATE": 2, "RESULT_DESC": "DELIVERED"}
    packet = {"METHOD": "SMS_PUSH_REPORT", "TYPE": "REQUEST", "SERIAL": 2, "TIME": "2026-11-20 10:00:05"}
    packet |= {"REPORT_TIME": "2026-11-20 10:00:00", "SMS_UID": ids[0], "SMS_RESULT_LIST": [result]}
    return "/callback/cloudsms/report", JSON, json.dumps(packet).encode()


KINDS: tuple[tuple[Callable[[list[str]], tuple[str, str, bytes]], int], ...] = (
    (huawei_single, 1),
    (cloudsms_single, 1),
    (huawei_batch, BATCH),
)


class Client:
    """One run's requests, numbered."""

    def __init__(self, session: aiohttp.ClientSession, options: argparse.Namespace) -> None:
        self._session = session
        self._url = options.url
        self._run = options.run
        self._tls: dict[str, Any] = {}
        if options.authorities:
            context = ssl.create_default_context(cafile=options.authorities)
            self._tls = {"ssl": context, "server_hostname": options.server_name}
        self._file = os.open(options.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._numbers = count()

    def _note(self, mark: str, number: int, *rest: object) -> None:
        line = " ".join(map(str, (mark, number, f"{time.time():.6f}", *rest)))
        os.write(self._file, f"{line}\n".encode())

    async def attempt(self) -> None:
        number = next(self._numbers)
        build, size = KINDS[number % len(KINDS)]
        ids = [f"{self._run}-{number}-{part}" for part in range(size)]
        path, content_type, body = build(ids)
        self._note(">", number, build.__name__, ",".join(ids))
        started = time.perf_counter()
        outcome, status = await self._post(path, content_type, body)
        self._note("<", number, outcome, status, f"{time.perf_counter() - started:.6f}")

    async def _post(self, path: str, content_type: str, body: bytes) -> tuple[str, str]:
        try:
            async with self._session.post(
                self._url + path, data=body, headers={"Content-Type": content_type}, **self._tls
            ) as response:
                await response.read()
                return ("ok" if response.status == 200 else "failed"), str(response.status)
        except aiohttp.ClientConnectorError as error:
            return "failed", type(error).__name__
        except (aiohttp.ClientError, OSError) as error:
            return "unknown", type(error).__name__


async def work(client: Client, slots: "asyncio.Queue[None]") -> None:
    while True:
        await slots.get()
        await client.attempt()
        slots.task_done()


async def pace(slots: "asyncio.Queue[None]", rate: float, stop: asyncio.Event) -> None:
    """A slot every 1/rate seconds; while every connection waits, none pile up."""
    due = time.monotonic()
    while not stop.is_set():
        with contextlib.suppress(asyncio.QueueFull):
            slots.put_nowait(None)
        due = max(due + 1 / rate, time.monotonic() - 0.1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(due - time.monotonic(), 0))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--rate", type=float, default=150.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--run", default="r")
    parser.add_argument("--fresh", action="store_true", help="a connection of its own for every request")
    parser.add_argument("--authorities", help="certificates, one of which is that of the TLS server")
    parser.add_argument("--server-name", help="the name in that certificate")
    options = parser.parse_args()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    slots: asyncio.Queue[None] = asyncio.Queue(options.connections)
    connector = aiohttp.TCPConnector(limit=options.connections, force_close=options.fresh)
    timeout = aiohttp.ClientTimeout(total=CLIENT_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        client = Client(session, options)
        workers = [asyncio.create_task(work(client, slots)) for _ in range(options.connections)]
        await pace(slots, options.rate, stop)
        await slots.join()
        for worker in workers:
            worker.cancel()


asyncio.run(main())
