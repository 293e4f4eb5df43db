"""Eight days of believable traffic of every platform, stored as if each push had come in at its time."""

import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from receiver.inbound import Inbound
from receiver.ingest.accept import parse_inbound
from receiver.simulate.dialects import DIALECTS
from receiver.simulate.dialects.base import Dialect
from receiver.simulate.lifecycles import Plan
from receiver.simulate.traffic import requests
from receiver.store import postgres
from receiver.store.job import Job

_HOURS: Final = 8 * 24
_HOUR: Final = timedelta(hours=1)
_SHARES: Final = {"huawei": 0.5, "cloudsms": 0.3, "tencent": 0.2}
_TIMEOUT_S: Final = 60.0


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", until: datetime, *, an_hour: int = 24) -> None:
    """Store about `an_hour` reports for each hour before `until`: more by day than by night, some of them rejected."""
    session = postgres.Session(connection)
    for hour in range(_HOURS):
        ends_at = until - hour * _HOUR
        jobs = [job async for job in _jobs(ends_at, an_hour, seed=hour)]
        await postgres.create_partitions(session, jobs)
        await postgres.write(session, jobs, _TIMEOUT_S)


async def _jobs(ends_at: datetime, an_hour: int, seed: int) -> AsyncIterator[Job]:
    busy = 1 + 0.7 * math.sin((ends_at.hour - 2) / 24 * math.tau)  # the afternoon of China, in UTC
    for name, dialect in DIALECTS.items():
        plan = Plan(
            seed=seed,
            count=max(1, round(an_hour * busy * _SHARES[name])),
            ends_at=ends_at,
            spacing_s=3_500 / max(1, an_hour * busy * _SHARES[name]),
            failures=0.06 + 0.02 * math.sin(seed / 9),
            malformed=0.005,
            replies=0.04,
            batches=0.3,
            batch_size=3,
        )
        async for job in _of_platform(dialect, plan):
            yield job


async def _of_platform(dialect: Dialect, plan: Plan) -> AsyncIterator[Job]:
    for number, request in enumerate(requests(dialect, plan)):
        inbound = Inbound(
            path=request.push.path,
            body=request.push.body,
            content_type=request.push.content_type,
            received_at=plan.ends_at,
            remote_addr="192.0.2.7",
            request_id=f"{plan.seed:08x}{number:08x}",
        )
        told = [report.happened_at for report in (await parse_inbound(inbound)).job.reports if report.happened_at]
        late = timedelta(seconds=1 + number % 13)
        received_at = min(plan.ends_at, max(told, default=plan.ends_at - _HOUR / 2) + late)
        yield (await parse_inbound(inbound._replace(received_at=received_at))).job
