"""What is logged and counted of each row, once it is known where it is kept."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.capture import captured_log
from support.reports import NOON, PROVIDER, job, report, submission

from receiver.ingest import observe as observing
from receiver.ingest.observe import observe
from receiver.ingest.recent import Recent
from receiver.report import Reason, Reply, RowId, Status
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.telemetry import limited_log, redaction
from receiver.telemetry.limited_log import LINES_PER_SECOND, LimitedLog
from receiver.telemetry.metrics import Metrics
from receiver.telemetry.metrics import build as new_metrics

NUMBER = "+8615500005678"
REPLY = Reply(provider=PROVIDER, reply_id=RowId("r" * 32), message_id="m-1", sender=NUMBER, body="STOP", raw="{}")
EVERYTHING = job(report(recipient=NUMBER), submission(recipient=NUMBER), replies=[REPLY])
ALL_STORED = Kept(KeptIn.DATABASE, Receipt(set(EVERYTHING.ids)))


@pytest.fixture(autouse=True)
def _no_lines_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few lines a second for all tests together would be none for some."""
    monkeypatch.setattr(observing, "dropped", LimitedLog())


async def lines(of: Job, kept: Kept, metrics: Metrics) -> list[dict[str, Any]]:
    with captured_log() as log:
        await observe(of, kept, metrics, Recent())
        await asyncio.sleep(0)  # lines are written at the end of the loop's turn
    return log.lines


async def events(of: Job, kept: Kept, metrics: Metrics) -> list[str]:
    return [line["event"] for line in await lines(of, kept, metrics)]


def counts(metrics: Metrics) -> dict[str, float]:
    """All counters of rows that are not zero, by their name and labels."""
    return {
        " ".join([sample.name.removeprefix("receiver_").removesuffix("_total"), *sample.labels.values()]): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.value and "provider" in sample.labels and sample.name.endswith("_total")
    }


@pytest.mark.parametrize(
    ("kept", "told", "counted"),
    [
        (
            ALL_STORED,
            ["report.stored", "reply.stored", "submission.stored"],
            {"reports huawei delivered none": 1, "replies huawei": 1, "submissions huawei enroute": 1},
        ),
        (
            Kept(KeptIn.DATABASE, Receipt()),
            ["report.duplicate", "reply.duplicate", "submission.duplicate"],
            {"duplicate_reports huawei": 1},
        ),
        (Kept(KeptIn.SPOOL, Receipt()), ["report.spooled", "reply.spooled", "submission.spooled"], {}),
        (
            Kept(KeptIn.DATABASE, Receipt(refused=dict.fromkeys(EVERYTHING.ids, "no"))),
            ["payload.rejected", "reply.duplicate", "payload.rejected"],
            {"rejected_payloads huawei item": 2},
        ),
    ],
    ids=["stored", "duplicates", "spooled", "refused"],
)
async def test_every_row_is_told_and_counted_by_the_end_it_came_to(
    metrics: Metrics, kept: Kept, told: Sequence[str], counted: dict[str, float]
):
    said = await lines(EVERYTHING, kept, metrics)
    assert [line["event"] for line in said] == told
    assert {line["request_id"] for line in said} == {EVERYTHING.callback.request_id}
    assert [line for line in said if NUMBER[-8:] in str(line)] == []
    assert counts(metrics) == counted


async def test_a_line_has_what_is_looked_for_and_no_number_in_full(metrics: Metrics):
    late = report("UNDELIV", recipient=NUMBER, happened_at=NOON - timedelta(seconds=90))
    one = job(late)
    (line,) = await lines(one, Kept(KeptIn.DATABASE, Receipt(set(one.ids))), metrics)
    expected = {
        "event": "report.stored",
        "level": "info",
        "provider": "huawei",
        "message_id": "m-1",
        "status": "undeliverable",
        "reason": "unreachable",
        "code": "UNDELIV",
        "lag_s": 90.0,
        "request_id": one.callback.request_id,
        "remote": "127.0.0.1",
    }
    assert line.items() >= expected.items()
    assert line["recipient"]
    assert NUMBER[-8:] not in str(line)
    assert counts(metrics) == {"reports huawei undeliverable unreachable": 1}
    assert metrics.registry.get_sample_value("receiver_report_lag_seconds_sum", {"provider": "huawei"}) == 90


@pytest.mark.parametrize("of", [report(), submission()], ids=["report", "submission"])
async def test_the_same_row_twice_in_a_body_is_new_once(metrics: Metrics, of: Any):
    twice = job(of, of)
    kind = "report" if twice.reports else "submission"
    told = await events(twice, Kept(KeptIn.DATABASE, Receipt(set(twice.ids))), metrics)
    assert told == [f"{kind}.stored", f"{kind}.duplicate"]


async def test_many_reports_of_one_status_are_one_step_of_the_counter_and_a_line_each(metrics: Metrics):
    many = job(
        *(report(message_id=f"m-{n}") for n in range(120)),
        *(submission(message_id=f"s-{n}") for n in range(60)),
        report("UNDELIV"),
    )
    told = await events(many, Kept(KeptIn.DATABASE, Receipt(set(many.ids))), metrics)
    assert (told.count("report.stored"), told.count("submission.stored")) == (121, 60)
    assert counts(metrics) == {
        f"reports huawei {Status.DELIVERED.value} none": 120,
        f"reports huawei {Status.UNDELIVERABLE.value} {Reason.UNREACHABLE.value}": 1,
        f"submissions huawei {Status.ENROUTE.value}": 60,
    }


async def test_the_callbacks_of_others_come_between_the_reports_of_a_large_one(metrics: Metrics):
    turns: list[None] = []

    async def another() -> None:
        while True:
            turns.append(await asyncio.sleep(0))

    running = asyncio.create_task(another())
    rows = [row for n in range(200) for row in (report(message_id=f"m-{n}"), submission(message_id=f"s-{n}"))]
    with captured_log():
        await observe(job(*rows), Kept(KeptIn.DATABASE, Receipt()), metrics, Recent())
    running.cancel()
    assert len(turns) > 4


@pytest.mark.parametrize(
    ("of", "kind"), [(job(error="no JSON"), "payload"), (job(report(), error="item 2 is odd"), "item")], ids=str
)
async def test_what_was_not_understood_is_told_with_its_reason(metrics: Metrics, of: Job, kind: str):
    kept = Kept(KeptIn.DATABASE, Receipt(set(of.ids)))
    line = (await lines(of, kept, metrics))[-1]
    assert line.items() >= {"event": "payload.rejected", "level": "warning", "path": "/callback/huawei/report"}.items()
    assert line["error"] == of.error
    assert counts(metrics)[f"rejected_payloads huawei {kind}"] == 1


async def test_of_junk_that_is_not_kept_a_few_lines_are_told_and_all_is_counted(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limited_log, "monotonic", lambda: 7.0)
    assert await events(job(error="no JSON"), Kept(KeptIn.SPOOL, Receipt()), metrics) == [], "nothing is rejected yet"
    told = [
        line
        for _ in range(50)
        for line in await events(job(error="no JSON"), Kept(KeptIn.NOWHERE, Receipt(dropped=True)), metrics)
    ]
    assert len(told) == LINES_PER_SECOND
    assert counts(metrics) == {"rejected_payloads huawei payload": 50}


_TEXTS = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["x" * 201, "中\x7f", "\u2028", "+861550000", "DELIVRD", "é" * 9, "\ud800"]
)
_COUNTED = new_metrics("test")


@given(
    message_id=_TEXTS,
    code=_TEXTS,
    recipient=st.sampled_from([None, NUMBER, "+49", "+1" + "2" * 40]),
    happened_at=st.sampled_from([None, NOON, NOON - timedelta(days=40, microseconds=1500), NOON.replace(year=1)]),
    tokens=st.sampled_from([(), ("report",)]),
)
def test_the_line_of_a_report_is_the_one_that_the_whole_chain_writes(tokens: tuple[str, ...], **changes: Any):
    one = job(report(**changes))

    def written(*, quick: bool) -> str:
        with pytest.MonkeyPatch.context() as patch, captured_log(tokens=tokens) as log:
            patch.setattr(redaction, "now", lambda: "2026-11-21T12:00:00.000Z")
            if not quick:
                redaction.report_line.stop()
            asyncio.run(observe(one, Kept(KeptIn.DATABASE, Receipt(set(one.ids))), _COUNTED, Recent()))
        return log.text

    assert written(quick=True) == written(quick=False) != ""
