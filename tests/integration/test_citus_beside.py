"""What lies beside the messages, on Citus: rejected payloads, probes, partitions, readers."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from support.citus import Citus
from support.databases import connected
from support.reports import job, report

from receiver.database_hosts import database
from receiver.store import postgres
from receiver.store import sql as statements
from receiver.store.maintenance import counts, partitions, retention
from receiver.store.maintenance.rejected_quota import make_room

MANY = 64
BODY = 8_192
ROOM = 64 << 20
LONG_AGO = partitions.today() - timedelta(days=40)

SHARDS = "SELECT DISTINCT nodeport FROM citus_shards WHERE table_name = $1::text::regclass"
IDENTITY = """
SELECT parent, relreplident::text FROM sms_data.partition AS p
JOIN pg_class ON oid = format('sms_data.%I', p.name)::regclass WHERE p.name ~ $1 ORDER BY 1
"""
PARENTS = "SELECT DISTINCT parent FROM sms_data.partition WHERE name ~ $1 ORDER BY 1"


async def reject(sql: asyncpg.Connection) -> None:
    """Many payloads, in one statement as the writer sends it."""
    ids = [uuid4() for _ in range(MANY)]
    texts = [["huawei"] * MANY, ["/callback"] * MANY, [datetime.now(UTC)] * MANY, ["nothing of the kind"] * MANY]
    nothing = [None] * MANY
    bodies = [one.bytes * (BODY // 16) for one in ids]
    await sql.execute(statements.INSERT_REJECTED, ids, *texts, nothing, bodies, nothing, nothing)


async def ports(sql: asyncpg.Connection, table: str) -> set[int]:
    return {row["nodeport"] for row in await sql.fetch(SHARDS, table)}


async def test_rejected_payloads_fill_all_nodes_alike_and_the_oldest_make_room(citus: Citus, spread: str) -> None:
    async with connected(spread) as sql:
        assert await ports(sql, "sms_data.rejected_payload") == {worker.port for worker in citus.workers}
        empty = await sql.fetchval("SELECT sms_data.rejected_bytes()")
        await reject(sql)
        held = await sql.fetchval(
            "SELECT min(rows) FROM run_command_on_shards($1, 'SELECT count(*) FROM %s')"
            " AS shard, LATERAL (SELECT result::int AS rows) AS counted",
            "sms_data.rejected_payload",
        )
        assert held > 0, "no shard is left out"
        assert await sql.fetchval("SELECT sms_data.rejected_bytes()") > empty
        assert await make_room(sql, ROOM) == (ROOM - await sql.fetchval("SELECT sms_data.rejected_bytes()"), 0)
        for _ in range(8):
            room, dropped = await make_room(sql, 1)
        assert (await sql.fetchval("SELECT count(*) FROM sms.rejected_payload"), dropped) == (0, 0)
        assert await sql.fetchval("SELECT sms_data.rejected_bytes()") == empty
        assert room < 1


async def test_a_probe_shows_whether_every_node_can_commit(citus: Citus, spread: str) -> None:
    async with connected(spread) as sql, connected(spread) as other:
        await other.execute("BEGIN; SELECT sms_data.probe()")
        await sql.execute("SET statement_timeout = '20s'")
        await sql.execute(statements.PROBE)  # whoever holds one open holds off no other
        await other.execute("ROLLBACK")
        citus.workers[1].kill()
        try:
            with pytest.raises((asyncpg.PostgresError, OSError)):
                await sql.execute(statements.PROBE)
        finally:
            await citus.workers[1].start()
        await sql.execute(statements.PROBE)
        await sql.execute("UPDATE sms_data.probe SET probed_at = '2026-01-01'")
        await partitions.maintain(spread, days_ahead=0, retention_days=None)
        assert await sql.fetchval("SELECT count(*) FROM sms_data.probe") == 0


async def test_days_are_partitions_on_every_node_and_old_ones_go(citus: Citus, spread: str) -> None:
    async with connected(spread) as sql, connected(spread) as reader:
        assert await sql.fetchval(statements.CREATE_PARTITIONS, LONG_AGO) == 3
        assert await sql.fetchval(statements.CREATE_PARTITIONS, LONG_AGO) == 0
        assert await ports(sql, f"sms_data.report_{LONG_AGO:%Y%m%d}") == {worker.port for worker in citus.workers}
        assert await sql.fetch(IDENTITY, f"{LONG_AGO:%Y%m%d}") == [("reply", "d"), ("report", "f"), ("submission", "f")]
        await reader.execute("BEGIN; SELECT count(*) FROM sms.delivery_report")
        done = await partitions.maintain(spread, days_ahead=1, retention_days=30)
        assert (done.left, len(done.dropped), done.days_left) == ([f"report_{LONG_AGO:%Y%m%d}"], 2, 1)
        await reader.execute("COMMIT")
        done = await partitions.maintain(spread, days_ahead=1, retention_days=30)
        assert (done.left, done.dropped) == ([], [f"report_{LONG_AGO:%Y%m%d}"])
        assert await sql.fetch(PARENTS, f"{LONG_AGO:%Y%m%d}") == []


ENVELOPES = """
INSERT INTO sms_data.envelope (message_id, provider, envelope_id, received_at, raw)
SELECT $1 || n, 'huawei', gen_random_uuid(), $2, '{}' FROM generate_series(1, 20) AS n
"""
LIVING = """
INSERT INTO sms_data.message (message_id, provider, recipient_key, status, code, segments, segments_reported, part,
                              seen_before, report_id, happened_at, first_received_at, last_received_at)
SELECT message_id, provider, '', 'delivered', 'DELIVRD', 1, 1, 1, NULL, envelope_id, now(), received_at, now()
FROM sms_data.envelope
"""


async def test_envelopes_that_their_messages_keep_hold_up_no_retention(
    spread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one moment and more than a batch: each began where the last one ended, for ever."""
    monkeypatch.setattr(retention, "_DELETE_BATCH", 8)
    async with connected(spread) as sql:
        await sql.execute(ENVELOPES, "kept-", retention.midnight_of(LONG_AGO))
        await sql.execute(LIVING)
        await sql.execute(ENVELOPES, "left-", retention.midnight_of(LONG_AGO))
        async with asyncio.timeout(60):
            done = await retention.retire(sql, LONG_AGO + timedelta(days=10), patience_s=0)
        left = await sql.fetchval("SELECT array_agg(DISTINCT left(message_id, 4)) FROM sms_data.envelope")
        assert (done.deleted, left) == (20, ["kept"])


HALF = """
BEGIN;
DELETE FROM {shard};
COMMIT;
BEGIN;
INSERT INTO {shard} SELECT * FROM kept;
PREPARE TRANSACTION '{gid}';
"""


async def test_a_recount_waits_until_a_node_that_died_has_ended_its_part_of_a_commit(citus: Citus, spread: str) -> None:
    """Messages that are committed there and not yet seen were taken for counts that are wrong."""
    async with connected(spread) as sql:
        await postgres.create_partitions(postgres.Session(sql), [job(report())])
        await postgres.write(postgres.Session(sql), [job(report())], 30.0)
        (shard,) = await sql.fetch(
            "SELECT shard_name, nodeport, groupid FROM citus_shards JOIN pg_dist_node USING (nodename, nodeport)"
            " WHERE shardid = get_shard_id_for_distribution_column('sms_data.message', 'm-1')"
        )
        (worker,) = [node for node in citus.workers if node.port == shard["nodeport"]]
        gid = f"citus_0_{sql.get_server_pid()}_1_1"
        async with connected(worker.socket_url(database(spread) or "")) as there:
            await there.execute(f"CREATE TABLE kept AS SELECT * FROM {shard['shard_name']}")
            await there.execute(HALF.format(shard=shard["shard_name"], gid=gid))
        await sql.execute("INSERT INTO pg_dist_transaction (groupid, gid) VALUES ($1, $2)", shard["groupid"], gid)
        assert await counts.recount(sql) == 0
        assert await sql.fetchval("SELECT count(*) FROM sms.message") == 1


async def test_writers_wait_no_longer_than_one_attempt_for_a_partition_that_is_read(spread: str) -> None:
    """An attempt to drop queues before them, and behind the reader."""
    async with connected(spread) as sql, connected(spread) as reader, connected(spread) as owner:
        await sql.execute(statements.CREATE_PARTITIONS.replace("$1", f"'{LONG_AGO}'"))
        await sql.execute(statements.CREATE_PARTITIONS.replace("$1", f"'{partitions.today()}'"))
        await reader.execute("BEGIN; SELECT count(*) FROM sms.reply")
        await owner.execute(f"SET lock_timeout = '{retention._BRIEF_LOCK_TIMEOUT}'")
        dropping = asyncio.create_task(owner.execute(f"DROP TABLE sms_data.reply_{LONG_AGO:%Y%m%d}"))
        await sql.execute("SET statement_timeout = '20s'")
        await sql.execute(
            "INSERT INTO sms_data.reply (reply_id, provider, body, received_at, raw)"
            " VALUES (gen_random_uuid(), 'huawei', 'STOP', now(), '{}')"
        )
        with pytest.raises(asyncpg.LockNotAvailableError):
            await dropping
        await reader.execute("COMMIT")


async def test_a_reader_sees_what_is_on_other_nodes_through_the_views_and_a_connection_is_quick(spread: str) -> None:
    async with connected(spread) as sql:
        await reject(sql)
        await sql.execute("SET ROLE sms_reader")
        for view in ("delivery_report", "message", "reply", "submission", "overdue_message", "code"):
            await sql.fetchval(f"SELECT count(*) FROM sms.{view}")
        assert await sql.fetchval("SELECT count(*) FROM sms.rejected_payload") == MANY
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sql.fetchval("SELECT count(*) FROM sms_data.probe")
        await sql.fetch("SELECT * FROM sms.messages_to('+8615512345678')")


async def test_a_migrated_database_lets_drivers_read_the_catalogue_quickly(spread_template: Citus) -> None:
    """Seconds for each connection, where Citus hid the shards of whoever asks what columns a type has."""
    async with connected(spread_template.socket_url("postgres")) as sql:
        found = await sql.fetchval(
            "SELECT setconfig FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase"
            " WHERE datname = 'template_citus'"
        )
    assert "citus.override_table_visibility=off" in found
