"""PostgreSQL alone, without HTTP: what the database takes of the same rows from one connection.

python -m bench.ceiling HOW DATABASE_URL SECONDS        prints rows a second
"""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from uuid import uuid4

import uvloop

from receiver.inbound import Inbound
from receiver.ingest.accept import parse_inbound
from receiver.store import postgres
from receiver.store.job import Job

_COPIED_AT_ONCE: Final = 2_000
_PLAIN: Final = "CREATE TABLE plain (LIKE sms_data.report)"
_KEY: Final = "ALTER TABLE plain ADD PRIMARY KEY (message_id, received_at, report_id)"

Write = Callable[[postgres.Session, list[Job]], Awaitable[float]]


async def jobs(count: int) -> list[Job]:
    """Callbacks of one report each, as they leave the adapter."""
    form = "sequence=1&total=1&orgCode=000&updateTime=2026-11-20T06%3A31%3A46Z&source=2&smsMsgId={}_1&status=DELIVRD"
    callbacks = [
        Inbound(
            path="huawei/report",
            body=form.format(uuid4()).encode(),
            content_type=None,
            received_at=datetime.now(UTC),
            remote_addr="127.0.0.1",
            request_id="0123456789abcdef",
        )
        for _ in range(count)
    ]
    return [(await parse_inbound(callback)).job for callback in callbacks]


def row(job: Job) -> tuple[object, ...]:
    """The job's report in the order of sms_data.report's columns."""
    c, (r,) = job.callback, job.reports
    first = (
        c.received_at,
        r.happened_at,
        r.report_id,
        r.segment,
        r.segments,
        r.message_id,
        r.provider,
        r.status,
        r.code,
    )
    second = (r.raw, c.remote_addr, r.recipient, r.country, r.sender, r.reason, r.detail, r.operator_code)
    return (*first, *second, r.reported_by, r.context, None)


async def copy(session: postgres.Session, some: list[Job]) -> float:
    """COPY into a plain table: no partitions, no duplicate check, no state."""
    records = [row(job) for job in some]
    started = perf_counter()
    await session.connection.copy_records_to_table("plain", records=records)
    return perf_counter() - started


async def write(session: postgres.Session, some: list[Job]) -> float:
    """The receiver's own transaction, on a session like the writer's."""
    started = perf_counter()
    await postgres.write(session, some, 60.0)
    return perf_counter() - started


HOW: Final[dict[str, tuple[Write, int, tuple[str, ...]]]] = {
    "copy": (copy, _COPIED_AT_ONCE, (_PLAIN,)),
    "copy-key": (copy, _COPIED_AT_ONCE, (_PLAIN, _KEY)),
    "write-64": (write, 64, ()),
    "write-800": (write, 800, ()),
}
"""What to do, with how many rows at once, and what to do first."""


async def rate(how: str, url: str, seconds: float) -> float:
    """Rows a second of the time that the writing took; making the rows is not in it."""
    do, at_once, first = HOW[how]
    session = await postgres.connect(url, 60.0, 60.0)
    for statement in first:
        await session.connection.execute(statement)
    await do(session, await jobs(at_once))
    spent, rows = 0.0, 0
    while spent < seconds:
        spent += await do(session, await jobs(at_once))
        rows += at_once
    await session.connection.close()
    return rows / spent


def main() -> None:
    how, url, seconds = sys.argv[1:]
    print(uvloop.run(rate(how, url, float(seconds))))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
