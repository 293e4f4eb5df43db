"""The ring of what was kept last: what a reader is given, and what it is told that it has missed."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reports import NOON, PROVIDER, job, report, submission

from receiver.ingest.observe import observe
from receiver.ingest.recent import Recent, evenly, together
from receiver.report import Reply, RowId
from receiver.store.job import Job, Kept, KeptIn, Receipt
from receiver.telemetry.metrics import Metrics

NUMBER = "+8615500005678"
MASKED = "+86155****5678"


async def kept(recent: Recent, metrics: Metrics, of: Job, kept_in: KeptIn = KeptIn.DATABASE) -> list[dict[str, Any]]:
    """What a reader sees of a job, as JSON has it."""
    position = recent.after(None, 0).position
    stored = set() if kept_in is KeptIn.SPOOL else set(of.ids)
    await observe(of, Kept(kept_in, Receipt(stored)), metrics, recent)
    return [{**event.as_dict(), "id": None} for event in recent.after(position, 100).events]


@given(
    size=st.integers(1, 8),
    most=st.integers(0, 10),
    steps=st.lists(st.integers(0, 12), max_size=8),
)
def test_a_reader_gets_each_row_once_or_is_told_how_many_it_missed(size: int, most: int, steps: list[int]) -> None:
    recent = Recent(size)
    page = recent.after(None, most)
    assert (page.events, page.missed) == ([], 0)
    number = 0
    for step in steps:
        for _ in range(step):
            recent.report("report.stored", report(message_id=f"m-{(number := number + 1)}"), NOON, None)
        page = recent.after(page.position, most)
        shown = [int(str(event.message_id).removeprefix("m-")) for event in page.events]
        assert [event.id for event in page.events] == [f"{recent.name}:{n}" for n in shown]
        assert shown == sorted(set(shown))
        assert set(shown) <= set(range(number - min(step, size) + 1, number + 1))
        assert len(shown) == min(step, size, most)
        assert len(shown) + page.missed == step
    assert recent.after(page.position, most).events == []
    last = [event.message_id for event in recent.after(None, most).events]
    assert last == [f"m-{n}" for n in range(number - min(number, size, most) + 1, number + 1)]


@given(number=st.integers(0, 60), most=st.integers(0, 20))
def test_a_choice_is_even_and_ends_with_the_last(number: int, most: int) -> None:
    chosen = evenly(range(number), most)
    assert len(chosen) == min(number, most)
    assert not chosen or chosen[-1] == number - 1
    gaps = {after - before for before, after in zip([-1, *chosen], chosen, strict=False)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_ring_that_a_reader_does_not_know_has_begun_after_its_last_look() -> None:
    """A worker that took another's place: its rows are all news, and those of the one that is gone are no error."""
    former, new = Recent(), Recent()
    former.report("report.stored", report(message_id="a"), NOON, None)
    position = former.after(None, 0).position
    new.report("report.stored", report(message_id="b"), NOON, None)
    assert [event.message_id for event in new.after(position, 10).events] == ["b"]


def test_rows_of_several_processes_come_in_order_of_arrival() -> None:
    one, other = Recent(), Recent()
    for second, ring in enumerate((one, other, one, other)):
        ring.report("report.stored", report(message_id=f"m-{second}"), NOON + timedelta(seconds=second), None)
    page = together([one.after({}, 1), other.after({}, 10)])
    assert [event.message_id for event in page.events] == ["m-1", "m-2", "m-3"]
    assert (page.missed, page.position) == (1, {one.name: 2, other.name: 2})


async def test_a_report_is_shown_with_its_number_masked(metrics: Metrics) -> None:
    late = report("UNDELIV", recipient=NUMBER, country="CN", segment=1, segments=2, happened_at=NOON)
    seen = await kept(Recent(), metrics, job(late, received_at=NOON + timedelta(seconds=90)))
    assert seen == [
        {
            "id": None,
            "event": "report.stored",
            "time": "2026-03-01T12:01:30.000Z",
            "provider": "huawei",
            "status": "undeliverable",
            "reason": "unreachable",
            "recipient": MASKED,
            "country": "CN",
            "code": "UNDELIV",
            "message_id": "m-1",
            "segment": 1,
            "segments": 2,
            "lag_s": 90.0,
            "kept_in": "database",
        }
    ]


async def test_all_that_is_kept_is_shown_by_its_name_in_the_log(metrics: Metrics) -> None:
    reply = Reply(provider=PROVIDER, reply_id=RowId("r" * 32), message_id="m-1", sender=NUMBER, body="SECRET", raw="{}")
    everything = job(report(), submission(recipient=NUMBER), replies=[reply], error=f"it says {NUMBER} \x1b[2J")
    seen = await kept(Recent(), metrics, everything)
    assert [one["event"] for one in seen] == ["report.stored", "reply.stored", "submission.stored", "payload.rejected"]
    assert [one.get("recipient") for one in seen] == [None, MASKED, MASKED, None]
    assert seen[-1]["error"] == f"it says {MASKED} \\x1b[2J"
    assert not [one for one in seen if "SECRET" in str(one)]
    spooled = await kept(Recent(), metrics, job(report()), KeptIn.SPOOL)
    assert [(one["event"], one["kept_in"]) for one in spooled] == [("report.spooled", "spool")]


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\u202eb", "x\u2028data: forged", "\ud800", "\r\n\r\ndata: x"])
async def test_a_strangers_text_shows_what_a_terminal_or_a_browser_would_obey(metrics: Metrics, text: str) -> None:
    (seen,) = await kept(Recent(), metrics, job(report(text, message_id=text)))
    assert seen["code"].isprintable()
    assert seen["message_id"].isprintable()


async def test_a_number_in_the_wrong_field_is_masked_too(metrics: Metrics) -> None:
    (seen,) = await kept(Recent(), metrics, job(report(NUMBER)))
    assert seen["code"] == MASKED
