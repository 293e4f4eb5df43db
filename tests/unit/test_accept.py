"""The central act: parsed, kept, logged, and an outcome that decides the answer. With whatever place to keep it in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.reports import callback

from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest, Outcome
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


async def accepted(inbound: Inbound, answer: Answer) -> Outcome:
    steps = Steps(answer)
    outcome = await Ingest(steps.keep, steps.observe).accept(inbound)
    assert steps.done == ["kept", "observed"]
    return outcome


@pytest.mark.parametrize(
    ("inbound", "answer", "expected"),
    [
        (batch("a", "b"), stored, {"rows": 2, "stored": 2, "refused": 0, "duplicates": 0, "good": True}),
        (batch("a", "b"), known, {"rows": 2, "stored": 0, "refused": 0, "duplicates": 2, "good": True}),
        (batch("a", "b"), spooled, {"rows": 2, "stored": 0, "refused": 0, "duplicates": 0, "good": True}),
        (batch("a", "b"), first_refused, {"stored": 1, "refused": 1, "refusal": "too many", "good": True}),
        (batch("a", "b"), all_refused, {"refused": 2, "refusal": "why 0; why 1", "good": False}),
        (batch("a", "a"), all_refused, {"rows": 1, "refused": 1, "good": False}),
        (batch("a", "a"), stored, {"rows": 1, "stored": 1, "duplicates": 0, "good": True}),
        (JUNK, known, {"rows": 0, "duplicates": 0, "expected_path": None, "good": False}),
        (HALF, stored, {"rows": 1, "stored": 1, "good": True}),
    ],
    ids=[
        "new",
        "known",
        "spooled",
        "one refused",
        "all refused",
        "the same refused twice in a body",
        "the same stored twice in a body",
        "not understood",
        "half understood",
    ],
)
async def test_the_outcome_follows_from_the_rows(inbound: Inbound, answer: Answer, expected: dict[str, Any]):
    outcome = await accepted(inbound, answer)
    assert {name: getattr(outcome, name) for name in expected} == expected


@pytest.mark.parametrize("inbound", [JUNK, HALF], ids=["not understood", "half understood"])
async def test_the_outcome_says_what_was_not_understood(inbound: Inbound):
    assert (await accepted(inbound, known)).error


async def test_a_body_at_another_path_is_kept_and_the_outcome_names_its_own():
    outcome = await accepted(batch("a", path="huawei/report"), stored)
    assert (outcome.good, outcome.expected_path) == (True, "huawei/reports")


async def test_what_nothing_can_keep_is_not_logged_and_the_refusal_knows_what_the_answer_repeats():
    steps = Steps(stored)

    async def full(_job: Job) -> Kept:
        raise StoreUnavailable("no room")

    one = callback(body=b'{"SERIAL": 17}')._replace(path="cloudsms/report")
    with pytest.raises(StoreUnavailable, match="no room") as refusal:
        await Ingest(full, steps.observe).accept(one)
    assert dict(refusal.value.answer_context) == {"SERIAL": 17}
    assert steps.done == []


async def test_a_reason_not_to_parse_leaves_the_body_unread():
    outcome = await accepted(batch("a")._replace(skip_parsing_reason="not signed by the platform"), known)
    assert (outcome.rows, outcome.error, outcome.good) == (0, "not signed by the platform", False)
