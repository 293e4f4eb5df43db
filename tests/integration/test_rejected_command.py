"""`receiver rejected`: an operator looks at what was not understood, and gives it a second chance."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from support.cases import case
from support.command import receiver
from support.databases import connected

SAMPLE = case("huawei/single-vendor-sample")
BEFORE = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

INSERT = """
INSERT INTO sms_data.rejected_payload (rejected_id, provider, path, received_at, error, content_type, body, remote_addr)
VALUES ($1, 'huawei', '/callback/huawei/report', $2, $3, 'text/plain', $4, '192.0.2.7')
"""


async def reject(
    sql: asyncpg.Connection, number: int, body: bytes, error: str = "an older version knew no better"
) -> str:
    await sql.execute("SELECT sms_data.create_partitions($1)", BEFORE.date())
    await sql.execute(INSERT, UUID(int=number << 96), BEFORE, error, body)
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
