"""`receiver rejected`: an operator looks at what was not understood, and gives it a second chance."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import category
from uuid import UUID

import asyncpg
from support.cases import case
from support.command import receiver
from support.databases import connected

SAMPLE = case("huawei/single-vendor-sample")
OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
BEFORE = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

INSERT = """
INSERT INTO sms_data.rejected_payload (
    rejected_id, provider, path, received_at, error, content_type, body, remote_addr, correlation)
VALUES ($1, 'huawei', $5, $2, $3, 'text/plain', $4, '192.0.2.7', 'order-17')
"""


async def reject(
    sql: asyncpg.Connection,
    number: int,
    body: bytes,
    error: str = "an older version knew no better",
    *,
    path: str = "/callback/huawei/report",
    received_at: datetime = BEFORE,
) -> str:
    await sql.execute("SELECT sms_data.create_partitions($1)", BEFORE.date())
    await sql.execute(INSERT, UUID(int=number << 96), received_at, error, body, path)
    return str(UUID(int=number << 96))[:8]


async def test_what_is_understood_now_is_stored_with_its_own_time_of_arrival(database: str, tmp_path: Path) -> None:
    async with connected(database) as sql:
        short = await reject(sql, 1, SAMPLE.body)
        await reject(sql, 2, b"nonsense for ever")
        tried = await receiver("rejected", "replay", "--dry-run", "--json", folder=tmp_path, database_url=database)
        assert [(one["understood"], one["stored"]) for one in tried.json] == [(1, 0), (0, 0)]
        assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0

        done = await receiver("rejected", "replay", "--json", folder=tmp_path, database_url=database)
        assert [(one["understood"], one["stored"]) for one in done.json] == [(1, 1), (0, 0)]
        row = await sql.fetchrow("SELECT received_at, host(remote_addr) AS remote FROM sms.delivery_report")
        assert tuple(row) == (BEFORE, "192.0.2.7")
        left = await receiver("rejected", "list", "--json", folder=tmp_path, database_url=database)
        assert [one["error"] for one in left.json] == ["an older version knew no better"]
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload WHERE replayed_at IS NOT NULL") == 1

        again = await receiver(
            "rejected", "replay", short, "--replayed", "--json", folder=tmp_path, database_url=database
        )
        assert [(one["understood"], one["stored"]) for one in again.json] == [(1, 0)]


async def test_a_push_that_was_not_signed_is_not_believed_later(database: str, tmp_path: Path) -> None:
    async with connected(database) as sql:
        await reject(sql, 1, SAMPLE.body, "not signed by the platform: no key pair has this Access")
        done = await receiver("rejected", "replay", "--json", folder=tmp_path, database_url=database)
        assert [(one["understood"], one["stored"]) for one in done.json] == [(0, 0)]
        assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0


async def test_show_gives_the_bytes_and_purge_takes_them(database: str, tmp_path: Path) -> None:
    async with connected(database) as sql:
        short = await reject(sql, 1, "smsMsgId=\xff".encode("latin-1"))
        await reject(sql, 2, b"other")
        shown = await receiver("rejected", "show", short, folder=tmp_path, database_url=database)
        assert "an older version knew no better" in shown.out
        assert "smsMsgId=\\xff" in shown.out
        nobody = await receiver("rejected", "show", "ffffffff", folder=tmp_path, database_url=database)
        assert nobody.complaint == "no payload has this id"

        young = await receiver(
            "rejected", "purge", "--newer-than", "1", "--yes", folder=tmp_path, database_url=database
        )
        assert young.out == "0 deleted.\n"
        dry = await receiver("rejected", "purge", "--dry-run", "--yes", folder=tmp_path, database_url=database)
        assert dry.out == "2 would be deleted.\n"
        gone = await receiver(
            "rejected", "purge", "--provider", "huawei", "--yes", folder=tmp_path, database_url=database
        )
        assert gone.out == "2 deleted.\n"
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 0


async def test_nothing_that_a_terminal_would_obey_is_shown_of_a_stranger(database: str, tmp_path: Path) -> None:
    obeyed = "\x1b[2J\x1b]0;title\x07\r\x9b31m\x7f\u202e\u2028"
    body = f'{{"first": "{obeyed}退订",\n\t"second": 2}}'.encode() + b"\x9b\xff"
    async with connected(database) as sql:
        short = await reject(sql, 1, body, f"no field {obeyed}")
        await sql.execute("UPDATE sms_data.rejected_payload SET content_type = $1", f"text/{obeyed}")
        commands = [("show", short), ("show", "--json", short), ("list",), ("list", "--json"), ("replay", "--dry-run")]
        for command in commands:
            ended = await receiver("rejected", *command, folder=tmp_path, database_url=database)
            assert ended.code == 0
            assert [one for one in ended.out if one not in "\n\t" and category(one) in OBEYED] == []
        shown = await receiver("rejected", "show", short, folder=tmp_path, database_url=database)
        assert r"\x1b[2J\x1b]0;title\x07\r\x9b31m\x7f\u202e\u2028退订" in shown.out
        assert '\n\t"second": 2' in shown.out
        as_json = await receiver("rejected", "show", "--json", short, folder=tmp_path, database_url=database)
        assert as_json.json["error"] == f"no field {obeyed}"
        assert b64decode(as_json.json["body"]) == body


async def test_a_replayed_submission_keeps_what_the_application_said_of_it(database: str, tmp_path: Path) -> None:
    answer = (
        b'{"result": [{"originTo": "+8615512345678", "createTime": "2018-05-25T16:34:34Z", "smsMsgId": "m-1",'
        b' "status": "000000", "total": 1}], "code": "000000", "description": "Success"}'
    )
    async with connected(database) as sql:
        await reject(sql, 1, answer, path="/submissions/huawei")
        done = await receiver("rejected", "replay", "--json", folder=tmp_path, database_url=database)
        assert [(one["stored"], one["error"]) for one in done.json] == [(1, None)]
        row = await sql.fetchrow("SELECT correlation, received_at FROM sms.submission")
        assert tuple(row) == ("order-17", BEFORE)


async def test_one_that_the_database_refuses_does_not_keep_the_others_from_their_turn(
    database: str, tmp_path: Path
) -> None:
    async with connected(database) as sql:
        await sql.execute("ALTER TABLE sms_data.report ADD CONSTRAINT none CHECK (message_id <> 'poison')")
        await reject(sql, 1, b"smsMsgId=poison&status=DELIVRD")
        await reject(sql, 2, b"smsMsgId=m-2&status=DELIVRD")
        done = await receiver("rejected", "replay", "--json", folder=tmp_path, database_url=database)
        assert [one["stored"] for one in done.json] == [0, 1]
        assert done.json[0]["error"] == "the database refuses it (CheckViolationError)"
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload WHERE replayed_at IS NULL") == 1


async def test_filters_by_platform_age_and_error_and_a_limit(database: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with connected(database) as sql:
        for number, (days, error) in enumerate([(40, "no JSON"), (20, "No JSON"), (1, "no smsMsgId")]):
            await reject(sql, number + 1, b"x" * 1_000, error, received_at=now - timedelta(days=days))

        async def listed(*options: str) -> list[str]:
            ended = await receiver("rejected", "list", "--json", *options, folder=tmp_path, database_url=database)
            return [one["error"] for one in ended.json]

        assert await listed() == ["no JSON", "No JSON", "no smsMsgId"]
        assert await listed("--error", "NO JSON", "--limit", "1") == ["no JSON"]
        assert await listed("--older-than", "10", "--newer-than", "30") == ["No JSON"]
        assert await listed("--provider", "tencent") == []

        shown = await receiver("rejected", "show", "--json", "00000001", folder=tmp_path, database_url=database)
        assert b64decode(shown.json["body"]) == b"x" * 1_000
        assert shown.json["correlation"] == "order-17"


async def test_purge_down_to_a_size_spares_the_youngest(database: str, tmp_path: Path) -> None:
    async with connected(database) as sql:
        for number in range(1, 6):
            await reject(sql, number, b"x" * 1_000, received_at=BEFORE + timedelta(hours=number))

        async def purge(*options: str) -> object:
            return (await receiver("rejected", "purge", *options, folder=tmp_path, database_url=database)).json

        assert await purge("--spare", "2.5kB", "--dry-run", "--json") == {"payloads": 3, "deleted": False}
        assert await purge("--spare", "2.5kB", "--yes", "--json") == {"payloads": 3, "deleted": True}
        kept = await sql.fetch("SELECT received_at FROM sms.rejected_payload ORDER BY 1")
        assert [row[0] for row in kept] == [BEFORE + timedelta(hours=4), BEFORE + timedelta(hours=5)]
        nobody_there = await receiver("rejected", "purge", folder=tmp_path, database_url=database)
        assert nobody_there.code == 1
        assert "Aborted" in nobody_there.err
        assert await purge("--spare", "0", "--yes", "--json") == {"payloads": 2, "deleted": True}
        wrong = await receiver("rejected", "purge", "--spare", "much", folder=tmp_path, database_url=database)
        assert "no size like 10MiB" in wrong.err


async def test_nothing_to_show_is_said_and_no_question_asked(database: str, tmp_path: Path) -> None:
    """An empty list printed nothing, which might have been a fault as well."""
    listed = await receiver("rejected", "list", "--provider", "huawei", folder=tmp_path, database_url=database)
    assert (listed.code, listed.out, listed.err) == (0, "", "There are no such payloads.\n")
    as_json = await receiver("rejected", "list", "--json", folder=tmp_path, database_url=database)
    assert (as_json.code, as_json.json, as_json.err) == (0, [], "")
    purged = await receiver("rejected", "purge", folder=tmp_path, database_url=database)
    assert (purged.code, purged.out, purged.err) == (0, "0 deleted.\n", "")
    replayed = await receiver("rejected", "replay", folder=tmp_path, database_url=database)
    assert (replayed.code, replayed.out) == (0, "0 read again, 0 wholly understood.\n")
    assert (
        "--replayed" in (await receiver("rejected", "replay", "0abc", folder=tmp_path, database_url=database)).complaint
    )
