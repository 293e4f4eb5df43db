"""How PostgreSQL goes about what the write path asks for: by keys, whatever its statistics say."""

from datetime import timedelta

import pytest
from support.reports import NOON, job, report
from support.waiting import eventually
from support.writers import writing

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
