"""Writes reports by a source tree's own route, one command a line, and tells what each cost.

Run with the tree first on PYTHONPATH: `python -P write_driver.py URL`. Knows the tree of now and that of c96b354.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from receiver.store import postgres

try:
    from receiver.inbound import Inbound as Callback
    from receiver.ingest.accept import parse_inbound
    from receiver.store import schema

except ImportError:
    from receiver.callback import Callback  # type: ignore[import-not-found, no-redef]
    from receiver.store.intake import understand  # type: ignore[import-not-found]

    from receiver.store import migrate as schema  # type: ignore[attr-defined, no-redef]

    async def parse_inbound(callback: Any) -> Any:
        return understand(callback)


START = datetime.now(UTC)
A_CALLBACK = 50
"""Reports in one callback."""


def items(first: int, count: int, code: str, stride: int) -> list[dict[str, str]]:
    """Reports about so many messages from `first` on, each `stride`th, with random ids and numbers, as a platform's."""
    return [
        {
            "smsMsgId": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}-4f0e-{number:012x}_1",
            "status": code,
            "to": f"+86155{number * 0x9E3779B1 % 10**8:08}",
            "sequence": "1",
            "total": "1",
            "orgCode": "000",
            "updateTime": (START + timedelta(seconds=number % 3600)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source": "2",
            "extend": f"order-{number}",
        }
        for number in range(first, first + count * stride, stride)
    ]


async def flushes(first: int, count: int, size: int, code: str, stride: int = 1) -> list[list[Any]]:
    """The jobs of each flush: callbacks of at most fifty reports each."""
    made = []
    for begin in range(0, count, size):
        jobs = []
        for at in range(begin, begin + size, A_CALLBACK):
            some = items(first + at * stride, min(A_CALLBACK, begin + size - at), code, stride)
            body = json.dumps({"statusReportList": some}).encode()
            callback = Callback(
                path="huawei/reports",
                body=body,
                content_type="application/json",
                received_at=START + timedelta(milliseconds=first + at),
                remote_addr="192.0.2.7",
                request_id="r",
            )
            jobs.append((await parse_inbound(callback))[1])
        made.append(jobs)
    return made


def commands() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def on_cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


async def main(url: str) -> None:
    await schema.upgrade(url)
    session = await postgres.connect(url, 60.0, 60.0)
    pid = await session.connection.fetchval("SELECT pg_backend_pid()")
    await session.connection.execute("SELECT sms_data.create_partitions($1)", START.date())
    await session.connection.execute("SELECT sms_data.create_partitions($1)", START.date() + timedelta(days=1))
    tell({"ready": True})
    for command in commands():
        made = await flushes(**command)
        stored, client, backend = 0, time.process_time_ns(), on_cpu_ns(pid)
        for jobs in made:
            stored += len((await postgres.write(session, jobs, 60.0)).stored)
        cost = {"client_ns": time.process_time_ns() - client, "backend_ns": on_cpu_ns(pid) - backend}
        tell(cost | {"stored": stored})


asyncio.run(main(sys.argv[1]))
