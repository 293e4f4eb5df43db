"""How much is written of a body is bounded by its size and by the number of its items (docs/security.md)."""

import asyncio
from collections.abc import Sequence

import pytest
from support.amplified import AMPLIFIED, nested, packet
from support.reports import callback, job, report

from receiver.ingest.accept import parse_inbound
from receiver.providers.payload import MAX_ITEMS
from receiver.report import Envelope
from receiver.store.batch import arrange, incoming
from receiver.store.columns import envelope_columns
from receiver.store.job import Job

A_BYTE, A_ROW = 4, 2_048
"""Bytes that are given to PostgreSQL: at most so many times the body, and so many a report beside that."""


async def understood(path: str, body: bytes) -> Job:
    _, made = await parse_inbound(callback(body=body)._replace(path=path))
    assert made.error is None
    return made


def written(parts: Sequence[Job]) -> int:
    """Bytes of all rows, as they go over the wire."""
    total = 0
    for part in parts:
        batch = arrange([part])
        given = incoming(batch)
        total += sum(len(str(value)) for row in (*given.lone, *given.messages, *given.reports) for value in row)
        for row in zip(*envelope_columns(batch, batch.reports.keys()), strict=True):
            total += len(row[4] or "") + len(row[5])
    return total


@pytest.mark.parametrize("name", AMPLIFIED)
async def test_what_is_written_is_bounded_by_the_body_and_its_items(name: str) -> None:
    path, body = AMPLIFIED[name]
    made = await understood(path, body)
    assert made.reports
    assert written([made]) <= A_BYTE * len(body) + A_ROW * len(made.reports)


@pytest.mark.parametrize("name", AMPLIFIED)
async def test_no_transaction_has_more_of_a_body_than_its_share(name: str) -> None:
    """Cut, nothing of it is lost, and no part is larger than was asked for but by its envelope, or by a single row."""
    path, body = AMPLIFIED[name]
    made = await understood(path, body)
    parts = list(made.parts(500, 100_000))
    assert [one.report_id for part in parts for one in part.reports] == [one.report_id for one in made.reports]
    assert all(len(part.reports) <= 500 for part in parts)
    for part in parts:
        envelope = part.reports[0].envelope
        of_all = len(envelope.raw) + len(envelope.context or "") if envelope else 0
        assert written([part]) <= 100_000 + of_all + A_ROW * len(part.reports) or len(part.reports) == 1


async def test_what_spans_a_packet_is_one_object_for_all_its_reports() -> None:
    made = await understood("cloudsms/report", packet(1_000, CUSTOMER_BODY={"deep": nested(16_000)}))
    assert len({id(one.envelope) for one in made.reports}) == 1
    assert isinstance(made.reports[0].envelope, Envelope)
    assert {one.context for one in made.reports} == {None}


async def test_a_packet_of_one_result_has_everything_in_its_report() -> None:
    (one,) = (await understood("cloudsms/report", packet(1, CUSTOMER_BODY={"order": "x" * 20_000}))).reports
    assert one.envelope is None
    assert one.context is not None


async def test_the_largest_number_of_items_leaves_turns_for_others() -> None:
    turns: list[None] = []

    async def others() -> None:
        while True:
            turns.append(await asyncio.sleep(0))

    beside = asyncio.create_task(others())
    path, body = AMPLIFIED["the smallest reports"]
    made = await understood(path, body)
    beside.cancel()
    assert len(made.reports) == MAX_ITEMS
    assert len(turns) >= 90, "a hundred turns, and not one"


def test_cutting_keeps_what_is_no_report_too() -> None:
    whole = job(*(report(message_id=f"m-{n}") for n in range(7)), error="item 8: it is bad")
    parts = list(whole.parts(3, 1 << 20))
    assert [part.size for part in parts] == [3, 3, 1, 1]
    assert [part.error for part in parts] == [None, None, None, whole.error]
