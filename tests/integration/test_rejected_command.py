"""`receiver rejected`: an operator looks at what was not understood, and gives it a second chance."""

from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from unicodedata import category
from uuid import UUID

import asyncpg
import pytest
from support.cases import case
from support.command import Ended
from support.databases import connected, emptied

SAMPLE = case("huawei/single-vendor-sample")
OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
BEFORE = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

INSERT = """
INSERT INTO sms_data.rejected_payload (
    rejected_id, provider, path, received_at, error, content_type, body, remote_addr, correlation)
VALUES ($1, 'huawei', $5, $2, $3, 'text/plain', $4, '192.0.2.7', 'order-17')
"""


@pytest.fixture
async def sql(shared_database) -> AsyncIterator[asyncpg.Connection]:
    async with emptied(shared_database) as connection:
        yield connection


@pytest.fixture
def rejected(commands, shared_database) -> Callable[..., Awaitable[Ended]]:
    """`receiver rejected` with these arguments."""
    return partial(commands.run, "rejected", database_url=shared_database)


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


async def test_what_is_understood_now_is_stored_with_its_own_time_of_arrival(sql, rejected):
    short = await reject(sql, 1, SAMPLE.body)
    await reject(sql, 2, b"nonsense for ever")
    tried = await rejected("replay", "--dry-run", "--json")
    assert [(one["understood"], one["stored"]) for one in tried.json] == [(1, 0), (0, 0)]
    assert await sql.fetchval("SELECT count(*) FROM sms.delivery_report") == 0

    done = await rejected("replay", "--json")
    assert [(one["understood"], one["stored"]) for one in done.json] == [(1, 1), (0, 0)]
    row = await sql.fetchrow("SELECT received_at, host(remote_addr) AS remote FROM sms.delivery_report")
    assert tuple(row) == (BEFORE, "192.0.2.7")
    left = await rejected("list", "--json")
    assert [one["error"] for one in left.json] == ["an older version knew no better"]
    assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload WHERE replayed_at IS NOT NULL") == 1

    again = await rejected("replay", short, "--replayed", "--json")
    assert [(one["understood"], one["stored"]) for one in again.json] == [(1, 0)]


async def test_of_several_each_has_its_own_fate(database, commands):
    """What was not signed is not believed later, and one that the database refuses keeps nobody from their turn.

    A submission keeps what the application said of it.
    """
    answer = (
        b'{"result": [{"originTo": "+8615512345678", "createTime": "2018-05-25T16:34:34Z", "smsMsgId": "m-1",'
        b' "status": "000000", "total": 1}], "code": "000000", "description": "Success"}'
    )
    async with connected(database) as sql:
        await sql.execute("ALTER TABLE sms_data.report ADD CONSTRAINT none CHECK (message_id <> 'poison')")
        await reject(sql, 1, SAMPLE.body, "not signed by the platform: no key pair has this Access")
        await reject(sql, 2, b"smsMsgId=poison&status=DELIVRD")
        await reject(sql, 3, b"smsMsgId=m-2&status=DELIVRD")
        await reject(sql, 4, answer, path="/submissions/huawei")
        done = (await commands.run("rejected", "replay", "--json", database_url=database)).json
        assert [(one["understood"], one["stored"]) for one in done] == [(0, 0), (1, 0), (1, 1), (1, 1)]
        assert [one["error"] for one in done[1:]] == ["the database refuses it (CheckViolationError)", None, None]
        assert [row[0] for row in await sql.fetch("SELECT message_id FROM sms.delivery_report")] == ["m-2"]
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload WHERE replayed_at IS NULL") == 2
        row = await sql.fetchrow("SELECT correlation, received_at FROM sms.submission")
        assert tuple(row) == ("order-17", BEFORE)


async def test_show_gives_the_bytes_and_purge_takes_them(sql, rejected):
    short = await reject(sql, 1, "smsMsgId=\xff".encode("latin-1"))
    await reject(sql, 2, b"other")
    shown = await rejected("show", short)
    assert "an older version knew no better" in shown.out
    assert "smsMsgId=\\xff" in shown.out
    assert (await rejected("show", "ffffffff")).complaint == "no payload has this id"
    as_json = (await rejected("show", "--json", short)).json
    assert (b64decode(as_json["body"]), as_json["correlation"]) == (b"smsMsgId=\xff", "order-17")

    assert (await rejected("purge", "--newer-than", "1", "--yes")).out == "0 deleted.\n"
    assert (await rejected("purge", "--dry-run", "--yes")).out == "2 would be deleted.\n"
    assert (await rejected("purge", "--provider", "huawei", "--yes")).out == "2 deleted.\n"
    assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == 0


async def test_nothing_that_a_terminal_would_obey_is_shown_of_a_stranger(sql, rejected):
    obeyed = "\x1b[2J\x1b]0;title\x07\r\x9b31m\x7f\u202e\u2028"
    body = f'{{"first": "{obeyed}退订",\n\t"second": 2}}'.encode() + b"\x9b\xff"
    short = await reject(sql, 1, body, f"no field {obeyed}")
    await sql.execute("UPDATE sms_data.rejected_payload SET content_type = $1", f"text/{obeyed}")
    commands = (("show", short), ("show", "--json", short), ("list",), ("list", "--json"), ("replay", "--dry-run"))
    shown, as_json, *others = [await rejected(*command) for command in commands]
    for ended in (shown, as_json, *others):
        assert ended.code == 0
        assert [one for one in ended.out if one not in "\n\t" and category(one) in OBEYED] == []
    assert r"\x1b[2J\x1b]0;title\x07\r\x9b31m\x7f\u202e\u2028退订" in shown.out
    assert '\n\t"second": 2' in shown.out
    assert as_json.json["error"] == f"no field {obeyed}"
    assert b64decode(as_json.json["body"]) == body


async def test_filters_by_platform_age_and_error_and_a_limit(sql, rejected):
    for number, (days, error) in enumerate([(40, "no JSON"), (20, "No JSON"), (1, "no smsMsgId")], start=1):
        await reject(sql, number, b"x", error, received_at=datetime.now(UTC) - timedelta(days=days))

    async def listed(*options: str) -> list[str]:
        return [one["error"] for one in (await rejected("list", "--json", *options)).json]

    assert await listed() == ["no JSON", "No JSON", "no smsMsgId"]
    assert await listed("--error", "NO JSON", "--limit", "1") == ["no JSON"]
    assert await listed("--older-than", "10", "--newer-than", "30") == ["No JSON"]
    assert await listed("--provider", "tencent") == []


async def test_purge_down_to_a_size_spares_the_youngest(sql, rejected):
    for number in range(1, 6):
        await reject(sql, number, b"x" * 1_000, received_at=BEFORE + timedelta(hours=number))

    async def purge(*options: str) -> object:
        return (await rejected("purge", "--json", *options)).json

    assert await purge("--spare", "2.5kB", "--dry-run") == {"payloads": 3, "deleted": False}
    assert await purge("--spare", "2.5kB", "--yes") == {"payloads": 3, "deleted": True}
    kept = await sql.fetch("SELECT received_at FROM sms.rejected_payload ORDER BY 1")
    assert [row[0] for row in kept] == [BEFORE + timedelta(hours=4), BEFORE + timedelta(hours=5)]
    nobody_there = await rejected("purge")
    assert nobody_there.code == 1
    assert "Aborted" in nobody_there.err
    assert await purge("--spare", "0", "--yes") == {"payloads": 2, "deleted": True}
    assert "no size like 10MiB" in (await rejected("purge", "--spare", "much")).err


@pytest.mark.usefixtures("sql")
async def test_nothing_to_show_is_said_and_no_question_asked(rejected):
    """An empty list printed nothing, which might have been a fault as well."""
    assert await rejected("list", "--provider", "huawei") == Ended(0, "", "There are no such payloads.\n")
    as_json = await rejected("list", "--json")
    assert (as_json.code, as_json.json, as_json.err) == (0, [], "")
    assert await rejected("purge") == Ended(0, "0 deleted.\n", "")
    assert (await rejected("replay")).out == "0 read again, 0 wholly understood.\n"
    assert "--replayed" in (await rejected("replay", "0abc")).complaint


async def test_a_list_that_is_not_whole_says_so(sql, rejected):
    """Of 336 the oldest 50 were shown, as if there were no others."""
    for number in (1, 2, 3):
        await reject(sql, number, b"nonsense")
    part = await rejected("list", "--json", "--limit", "2")
    assert (len(part.json), part.err) == (2, "There are younger ones than these 2: see --limit and --newer-than.\n")
    assert (await rejected("list", "--json", "--limit", "3")).err == ""
