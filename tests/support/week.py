"""Eight days of believable traffic of every platform, stored as if each push had come in at its time.

The sending application has handed over what Huawei and Tencent answered; of some messages nothing was heard again.
"""

import json
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg

from receiver.inbound import Inbound
from receiver.ingest.accept import parse_inbound
from receiver.report import DeliveryReport
from receiver.simulate.dialects import DIALECTS
from receiver.simulate.dialects.base import Dialect
from receiver.simulate.lifecycles import Plan
from receiver.simulate.traffic import requests
from receiver.store import postgres
from receiver.store.job import Job
from support.service import Service

_HOURS: Final = 8 * 24
_HOUR: Final = timedelta(hours=1)
_SHARES: Final = {"huawei": 0.5, "cloudsms": 0.3, "tencent": 0.2}
_TIMEOUT_S: Final = 60.0
_USUAL_S: Final = 4.0
_LOST: Final = 0.004
"""The share of messages that the platform took, and never told the end of."""


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", until: datetime, *, an_hour: int = 24) -> None:
    """Store about `an_hour` reports for each hour before `until`: more by day than by night, some of them rejected."""
    session = postgres.Session(connection)
    for hour in range(_HOURS):
        ends_at = until - hour * _HOUR
        jobs = [job async for job in _jobs(ends_at, an_hour, seed=hour)]
        jobs += [job async for job in _handed_over(jobs, ends_at, seed=hour)]
        await postgres.create_partitions(session, jobs)
        await postgres.write(session, jobs, _TIMEOUT_S)


async def push(service: Service, until: datetime, *, count: int = 12) -> None:
    """Let each platform in turn push one of so many reports that happened just before `until`."""
    plan = Plan(seed=7, count=count, ends_at=until, spacing_s=1.0, failures=0.2, malformed=0.05, batches=0.0)
    streams = [requests(dialect, replace(plan, seed=seed)) for seed, dialect in enumerate(DIALECTS.values())]
    for request in chain.from_iterable(zip(*streams, strict=False)):
        content_type = {"Content-Type": request.push.content_type}
        status, _ = await service.post(f"/callback/{request.push.path}", request.push.body, **content_type)
        assert status == request.expected_status


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


async def _handed_over(jobs: list[Job], ends_at: datetime, seed: int) -> AsyncIterator[Job]:
    """What the platforms answered when these messages were sent, and some more of which there is no report."""
    rng = Random(f"{seed} sent")  # to be repeated, not to be secret
    for provider, first in _first_reports(jobs):
        told = first.happened_at or ends_at - _HOUR
        sent_at = told - timedelta(seconds=1 + _USUAL_S * rng.lognormvariate(0, 0.9))
        yield await _answered(provider, first.message_id, first.recipient or _number(rng), sent_at)
        if rng.random() < _LOST:
            message = UUID(int=rng.getrandbits(128), version=4)
            lost = f"{message}_{message.int % 10**8}" if provider == "huawei" else f"5000:{message.int % 10**28:028d}"
            yield await _answered(provider, lost, _number(rng), sent_at)


def _first_reports(jobs: list[Job]) -> Iterator[tuple[str, DeliveryReport]]:
    """By message, of the platforms whose answers have an id for each."""
    seen = set()
    for job in jobs:
        for report in job.reports:
            if job.provider in _ANSWERS and report.message_id not in seen:
                seen.add(report.message_id)
                yield job.provider, report


def _number(rng: Random) -> str:
    return f"+861550000{rng.randrange(10**4):04d}"


async def _answered(provider: str, message_id: str, number: str, sent_at: datetime) -> Job:
    inbound = Inbound(
        path=f"submissions/{provider}",
        body=json.dumps(_ANSWERS[provider](message_id, number, sent_at)).encode(),
        content_type="application/json",
        received_at=sent_at + timedelta(seconds=0.3),
        remote_addr="127.0.0.1",
        request_id=message_id[-16:],
    )
    return (await parse_inbound(inbound)).job


def _huawei_answer(message_id: str, number: str, sent_at: datetime) -> dict[str, Any]:
    item = {
        "originTo": number,
        "createTime": f"{sent_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "from": "csms100000001",
        "smsMsgId": message_id,
        "status": "000000",
    }
    return {"code": "000000", "description": "Success", "result": [item]}


def _tencent_answer(message_id: str, number: str, _sent_at: datetime) -> dict[str, Any]:
    item = {"SerialNo": message_id, "PhoneNumber": number, "Fee": 1, "Code": "Ok", "Message": "send success"}
    return {"Response": {"SendStatusSet": [item], "RequestId": "a0aabda6-cf91-4f3e-a81f-9198114a2279"}}


_ANSWERS: Final = {"huawei": _huawei_answer, "tencent": _tencent_answer}
