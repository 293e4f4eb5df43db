"""The SQL contract (design, section 4): what analysts' dashboards were written against."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support.databases import connected, migrated_copy
from support.reports import NOON, job, report

from receiver.catalogue import entries
from receiver.report import FINAL, Status
from receiver.store import postgres

COLUMNS = """
SELECT c.relname AS view, obj_description(c.oid, 'pg_class') AS about, a.attname AS name,
       col_description(c.oid, a.attnum) AS meaning
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sms'::regnamespace
"""


@pytest.fixture(scope="module")
async def database(cluster: str, template: str) -> AsyncIterator[str]:
    """One for all stories here, with a message for each status there is."""
    async with migrated_copy(cluster, template) as url, connected(url) as connection:
        await connection.execute("SELECT sms_data.create_partitions($1)", NOON.date())
        reports = [report(status.upper(), status=status, message_id=f"m-{status}") for status in Status]
        await postgres.write(postgres.Session(connection), [job(*reports, report("DELIVRD"))], 10.0)
        yield url


async def test_the_schema_has_views_and_functions_and_explains_every_one_and_every_column(sql: asyncpg.Connection):
    """What they are is in tests/golden/expected/sql-views.txt."""
    kinds = await sql.fetch("SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'sms'::regnamespace")
    assert [row["relkind"] for row in kinds] == [b"v"]
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'sms'::regnamespace AND obj_description(oid) IS NULL"
    assert await sql.fetchval(functions) == 0
    columns = await sql.fetch(COLUMNS)
    assert columns
    assert [row for row in columns if not (row["about"] or "").strip() or not (row["meaning"] or "").strip()] == []


@pytest.mark.parametrize("view", ["delivery_report", "message"])
async def test_final_means_what_the_service_means_by_it(sql: asyncpg.Connection, view: str):
    rows = await sql.fetch(f"SELECT status, final FROM sms.{view}")
    assert {row["status"]: row["final"] for row in rows} == {status.value: status in FINAL for status in Status}


async def test_the_codes_are_the_catalogue_row_by_row(sql: asyncpg.Connection):
    expected = [
        (row.provider, row.code, row.status.value, row.reason and row.reason.value, row.final, row.meaning, row.advice)
        for row in entries()
    ]
    found = [tuple(row) for row in await sql.fetch("SELECT * FROM sms.code")]
    assert len(found) == len(expected) > 1_900
    assert sorted(found) == sorted(expected)


async def test_a_dashboard_can_join_a_report_to_the_meaning_of_its_code(sql: asyncpg.Connection):
    assert await sql.fetchval("SELECT meaning FROM sms.delivery_report JOIN sms.code USING (provider, code)")


async def test_unique_keys_hold_the_message_id_so_that_the_tables_can_be_distributed(sql: asyncpg.Connection):
    keys = await sql.fetch("""
        SELECT i.indrelid::regclass::text AS name,
               array(SELECT attname::text FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = ANY (i.indkey))
               AS columns
        FROM pg_index AS i
        WHERE i.indisunique AND i.indrelid IN (
            'sms_data.message'::regclass, 'sms_data.report'::regclass, 'sms_data.submission'::regclass)""")
    assert {row["name"] for row in keys} == {"sms_data.message"}
    assert all("message_id" in row["columns"] for row in keys)


@pytest.mark.parametrize("view", ["delivery_report", "submission", "message"])
async def test_what_is_known_of_a_message_is_found_by_an_index(sql: asyncpg.Connection, view: str):
    await sql.execute("SET enable_seqscan = off")  # which it prefers while there is nothing
    plan = await sql.fetch(f"EXPLAIN SELECT * FROM sms.{view} WHERE message_id = 'm-1'")
    text = "\n".join(row[0] for row in plan)
    assert re.search(r"Index Cond: \(message_id = 'm-1'::text\)", text), text
    assert "Seq Scan" not in text


async def test_all_that_is_only_added_to_is_partitioned_by_time(sql: asyncpg.Connection):
    partitioned = await sql.fetch("""
        SELECT relname, pg_get_partkeydef(oid) AS key FROM pg_class
        WHERE relnamespace = 'sms_data'::regnamespace AND relkind = 'p'""")
    assert {tuple(row) for row in partitioned} == {
        *((name, "RANGE (received_at)") for name in ("report", "reply", "submission")),
        ("rejected_payload", "LIST (slot)"),  # by time too: one slot after the other
    }
