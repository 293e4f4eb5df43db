"""The central act: parsed, kept, logged, and an outcome that decides the answer. With whatever place to keep it in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.reports import callback

from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.store.durable import StoreUnavailable
from receiver.store.job import Job, Kept, KeptIn, Receipt

Answer = Callable[[Job], Kept]


def batch(*messages: str, path: str = "huawei/reports") -> Inbound:
    items = [{"smsMsgId": message, "status": "DELIVRD"} for message in messages]
    return callback(body=json.dumps({"statusReportList": items}).encode())._replace(path=path)


JUNK = callback(body=b"\xff")._replace(path="huawei/reports")
HALF = batch("a")._replace(body=b'{"statusReportList":[{"smsMsgId":"a","status":"DELIVRD"},7]}')


def stored(job: Job) -> Kept:
    return Kept(KeptIn.DATABASE, Receipt(set(job.ids)))


def known(_job: Job) -> Kept:
    return Kept(KeptIn.DATABASE, Receipt())


def spooled(_job: Job) -> Kept:
    return Kept(KeptIn.SPOOL, Receipt())


def first_refused(job: Job) -> Kept:
    return Kept(KeptIn.DATABASE, Receipt(set(job.ids[1:]), {job.ids[0]: "too many"}))


def all_refused(job: Job) -> Kept:
    return Kept(KeptIn.DATABASE, Receipt(refused={one: f"why {n}" for n, one in enumerate(sorted(set(job.ids)))}))


class Steps:
    """The order of what was done with a job."""

    def __init__(self, answer: Answer) -> None:
        self.done: list[str] = []
        self._answer = answer

    async def keep(self, job: Job) -> Kept:
        self.done.append("kept")
        return self._answer(job)

    async def observe(self, job: Job, kept: Kept) -> None:
        assert kept == self._answer(job)
        self.done.append("observed")


TWO, SAME = batch("a", "b"), batch("a", "a")
UNSIGNED = batch("a")._replace(skip_parsing_reason="not signed by the platform")
OUTCOMES: dict[str, tuple[Inbound, Answer, dict[str, Any]]] = {
    "new": (TWO, stored, {"rows": 2, "stored": 2, "refused": 0, "duplicates": 0, "good": True, "error": None}),
    "known": (TWO, known, {"rows": 2, "stored": 0, "refused": 0, "duplicates": 2, "good": True}),
    "spooled": (TWO, spooled, {"rows": 2, "stored": 0, "refused": 0, "duplicates": 0, "good": True}),
    "one refused": (TWO, first_refused, {"stored": 1, "refused": 1, "refusal": "too many", "good": True}),
    "all refused": (TWO, all_refused, {"refused": 2, "refusal": "why 0; why 1", "good": False}),
    "the same refused twice in a body": (SAME, all_refused, {"rows": 1, "refused": 1, "good": False}),
    "the same stored twice in a body": (SAME, stored, {"rows": 1, "stored": 1, "duplicates": 0, "good": True}),
    "not understood": (JUNK, known, {"rows": 0, "duplicates": 0, "expected_path": None, "good": False}),
    "half understood": (HALF, stored, {"rows": 1, "stored": 1, "good": True}),
    "at another path": (batch("a", path="huawei/report"), stored, {"expected_path": "huawei/reports", "good": True}),
    "not to be read": (UNSIGNED, known, {"rows": 0, "error": "not signed by the platform", "good": False}),
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_the_outcome_follows_from_the_rows(name: str):
    inbound, answer, expected = OUTCOMES[name]
    steps = Steps(answer)
    outcome = await Ingest(steps.keep, steps.observe).accept(inbound)
    assert steps.done == ["kept", "observed"]
    assert {name: getattr(outcome, name) for name in expected} == expected
    assert bool(outcome.error) == (inbound in (JUNK, HALF, UNSIGNED))


async def test_what_nothing_can_keep_is_not_logged_and_the_refusal_knows_what_the_answer_repeats():
    steps = Steps(stored)

    async def full(_job: Job) -> Kept:
        raise StoreUnavailable("no room")

    one = callback(body=b'{"SERIAL": 17}')._replace(path="cloudsms/report")
    with pytest.raises(StoreUnavailable, match="no room") as refusal:
        await Ingest(full, steps.observe).accept(one)
    assert dict(refusal.value.answer_context) == {"SERIAL": 17}
    assert steps.done == []
