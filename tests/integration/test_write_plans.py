"""How PostgreSQL goes about what the write path asks for: by keys, in their order, whatever its statistics say."""

import asyncio
import random
from datetime import timedelta
from itertools import product

import pytest
from support.reports import MEANINGS, NOON, Row, job, report, row_id, state_of, submission
from support.waiting import eventually
from support.writers import outcomes, writing

from receiver.store.writer import Writer

STATE = "SELECT status, reason, code, happened_at, segments, segments_reported FROM sms.message WHERE message_id = $1"
_STATISTICS = """
SELECT seq_tup_read, n_tup_ins FROM pg_stat_user_tables WHERE relid = 'sms_data.message'::regclass
"""


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed while small"])
async def test_a_duplicate_reads_its_own_message_whatever_the_table_was_when_it_was_planned(database, sql, analysed):
    """One duplicate in a flush read the whole table, and the session kept that plan."""
    await sql.execute("ALTER TABLE sms_data.message SET (autovacuum_enabled = off)")
    messages = 2_000
    async with writing(database) as writer:
        await writer.write(job(report(message_id="m-0")))
        if analysed:
            await sql.execute("VACUUM ANALYZE sms_data.message")
        for _ in range(8):  # the first plan is made for an almost empty table; later ones might be kept
            await writer.write(job(report(message_id="m-0"), received_at=NOON + timedelta(hours=1)))
        await writer.write(job(*(report(message_id=f"m-{n}") for n in range(1, messages))))
        for n in range(10):
            receipt = await writer.write(job(report(message_id=f"m-{n}"), received_at=NOON + timedelta(hours=1)))
            assert not receipt.stored

    async def statistics_have_arrived() -> bool:
        return bool((await sql.fetchrow(_STATISTICS))["n_tup_ins"] >= messages)

    await eventually(statistics_have_arrived)
    assert (await sql.fetchrow(_STATISTICS))["seq_tup_read"] < messages


def told(message: str) -> list[Row]:
    """All that is told of one message of at most two segments: short ones, long ones, with a submission or without."""
    said = (None, 1, 2)[int(message[2:]) % 3]
    parts = [None, 1, 2][: 3 if said == 2 else 2]
    reports = [
        report(code, message_id=message, segment=part, segments=said, happened_at=at, sequence=sum(map(ord, code)) % 3)
        for code, part, at in product(sorted(MEANINGS), parts, (None, NOON, NOON + timedelta(microseconds=900_000)))
    ]
    return [
        *reports,
        submission(message_id=message, submitted_at=NOON, fee=1),
        submission("E200028", message_id=message),
    ]


async def test_writers_of_the_same_messages_neither_deadlock_nor_lose_or_repeat_anything(database, sql):
    draw = random.Random(7)
    rows = [row for n in range(40) for row in draw.sample(told(f"m-{n}"), draw.choice([1, 2, 2, 9]))]

    async def write(writer: Writer) -> list[str]:
        """All rows, in an order and in flushes of its own."""
        jobs = [job(row, received_at=NOON + timedelta(minutes=n)) for n, row in enumerate(rows)]
        draw.shuffle(jobs)
        receipts = await outcomes(writer, *jobs)
        return [stored for receipt in receipts for stored in receipt.stored]

    few, some, many = (writing(database, max_flush=size) for size in (1, 3, 20))
    async with few as one, some as two, many as three:
        stored = [row for written in await asyncio.gather(*map(write, (one, two, three))) for row in written]

    assert sorted(stored) == sorted(map(row_id, rows)), "each row is new once"
    assert await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert await sql.fetchval("SELECT sms_data.recount()") == 0
    for message in {row.message_id for row in rows}:
        state = await sql.fetchrow(STATE, message)
        assert tuple(state) == state_of([row for row in rows if row.message_id == message])
