"""The SQL contract (design, section 4): what analysts' dashboards were written against."""

import re

import asyncpg
import pytest
from support.reports import NOON, job, report

from receiver.catalogue import entries
from receiver.report import FINAL, Status
from receiver.store import postgres

TIME = "timestamp with time zone"

CONTRACT = {
    "delivery_report": {
        "report_id": "uuid",
        "provider": "text",
        "message_id": "text",
        "recipient": "text",
        "country": "text",
        "sender": "text",
        "segment": "smallint",
        "segments": "smallint",
        "status": "text",
        "reason": "text",
        "final": "boolean",
        "code": "text",
        "detail": "text",
        "operator_code": "text",
        "reported_by": "text",
        "context": "jsonb",
        "happened_at": TIME,
        "received_at": TIME,
        "remote_addr": "inet",
        "raw": "jsonb",
    },
    "message": {
        "provider": "text",
        "message_id": "text",
        "recipient": "text",
        "country": "text",
        "sender": "text",
        "status": "text",
        "reason": "text",
        "final": "boolean",
        "code": "text",
        "segments": "smallint",
        "segments_reported": "smallint",
        "context": "jsonb",
        "happened_at": TIME,
        "first_received_at": TIME,
        "last_received_at": TIME,
        "submitted_at": TIME,
        "delivery_s": "double precision",
    },
    "submission": {
        "submission_id": "uuid",
        "provider": "text",
        "message_id": "text",
        "recipient": "text",
        "country": "text",
        "sender": "text",
        "segments": "smallint",
        "fee": "integer",
        "status": "text",
        "reason": "text",
        "code": "text",
        "detail": "text",
        "correlation": "text",
        "context": "jsonb",
        "submitted_at": TIME,
        "received_at": TIME,
        "remote_addr": "inet",
        "raw": "jsonb",
    },
    "overdue_message": {
        "provider": "text",
        "message_id": "text",
        "recipient": "text",
        "country": "text",
        "sender": "text",
        "status": "text",
        "submitted_at": TIME,
        "waiting_s": "double precision",
        "expected_s": "double precision",
        "rule": "text",
    },
    "receipt_statistics": {
        "hour": TIME,
        "provider": "text",
        "request_success_count": "bigint",
        "callback_count": "bigint",
        "callback_success_count": "bigint",
        "callback_fail_count": "bigint",
        "internal_error_count": "bigint",
        "invalid_number_count": "bigint",
        "shutdown_error_count": "bigint",
        "black_list_count": "bigint",
        "frequency_limit_count": "bigint",
        "other_failure_count": "bigint",
    },
    "send_statistics": {
        "hour": TIME,
        "provider": "text",
        "fee_count": "bigint",
        "request_count": "bigint",
        "request_success_count": "bigint",
    },
    "reply": {
        "reply_id": "uuid",
        "provider": "text",
        "message_id": "text",
        "sender": "text",
        "recipient": "text",
        "body": "text",
        "sign": "text",
        "extend": "text",
        "sent_at": TIME,
        "received_at": TIME,
        "raw": "jsonb",
        "remote_addr": "inet",  # beyond the design's list, and therefore behind it
    },
    "rejected_payload": {
        "rejected_id": "uuid",
        "provider": "text",
        "path": "text",
        "received_at": TIME,
        "error": "text",
        "content_type": "text",
        "body": "bytea",
        "remote_addr": "inet",
        "replayed_at": TIME,
    },
    "code": {
        "provider": "text",
        "code": "text",
        "status": "text",
        "reason": "text",
        "final": "boolean",
        "meaning": "text",
        "advice": "text",
    },
}

COLUMNS = """
SELECT c.relname AS view, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       col_description(c.oid, a.attnum) AS comment
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sms'::regnamespace
ORDER BY c.relname, a.attnum
"""


async def test_the_views_have_these_columns_in_this_order_of_these_types(sql: asyncpg.Connection):
    found: dict[str, dict[str, str]] = {}
    for row in await sql.fetch(COLUMNS):
        found.setdefault(row["view"], {})[row["name"]] = row["type"]
    assert found == CONTRACT
    assert {view: list(columns) for view, columns in found.items()} == {
        view: list(columns) for view, columns in CONTRACT.items()
    }


async def test_the_schema_has_views_and_nothing_else(sql: asyncpg.Connection):
    kinds = await sql.fetch("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'sms'::regnamespace")
    assert {(row["relname"], row["relkind"]) for row in kinds} == {(view, b"v") for view in CONTRACT}
    assert await sql.fetchval("SELECT count(*) FROM pg_proc WHERE pronamespace = 'sms'::regnamespace") == 0


async def test_every_view_and_every_column_has_a_comment(sql: asyncpg.Connection):
    views = await sql.fetch(
        "SELECT relname, obj_description(oid, 'pg_class') AS comment FROM pg_class"
        " WHERE relnamespace = 'sms'::regnamespace"
    )
    assert {row["relname"] for row in views if (row["comment"] or "").strip()} == set(CONTRACT)
    silent = [(row["view"], row["name"]) for row in await sql.fetch(COLUMNS) if not (row["comment"] or "").strip()]
    assert silent == []


@pytest.fixture
async def one_of_each(sql: asyncpg.Connection) -> asyncpg.Connection:
    """A message for each status there is."""
    await sql.execute("SELECT sms_data.create_partitions($1)", NOON.date())
    reports = [report(status.upper(), status=status, message_id=f"m-{status}") for status in Status]
    await postgres.write(postgres.Session(sql), [job(*reports)], 10.0)
    return sql


@pytest.mark.parametrize("view", ["delivery_report", "message"])
async def test_final_means_what_the_service_means_by_it(one_of_each: asyncpg.Connection, view: str):
    rows = await one_of_each.fetch(f"SELECT status, final FROM sms.{view}")
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
    await sql.execute("SELECT sms_data.create_partitions($1)", NOON.date())
    await postgres.write(postgres.Session(sql), [job(report("DELIVRD"))], 10.0)
    meaning = await sql.fetchval("SELECT meaning FROM sms.delivery_report JOIN sms.code USING (provider, code)")
    assert meaning


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
    await sql.execute("SELECT sms_data.create_partitions($1)", NOON.date())
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
