"""What is older than its retention goes: daily partitions by the table, messages' states row by row.

Readers hold up the drop of a partition for as long as they read, and nothing else: each attempt waits for about a
second, holds no lock that a writer needs, and is repeated while everything else is done.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Final

import asyncpg

from receiver.store import distributing, sql
from receiver.store.maintenance import counts
from receiver.store.told import UNTOLD, Told

_LOCK_TIMEOUT: Final = "1s"
"""Of one attempt. While it waits, nobody can attach a partition to the same table."""

_BRIEF_LOCK_TIMEOUT: Final = "300ms"
"""Of one attempt on Citus, which detaches nothing concurrently: while it waits, writers wait too."""

_ATTEMPT_EVERY_S: Final = 4.0

_DELETE_BATCH: Final = 1_000
"""Rows of one transaction: some 20 ms, for which a late report of one of these messages would wait."""

_CONCURRENTLY_DETACHED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.DeadlockDetectedError,
)
"""Errors for a partition that another instance has detached or is detaching."""

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)

_DELETE_OLD_MESSAGES: Final = """
WITH old AS MATERIALIZED (
    SELECT ctid, first_received_at FROM sms_data.message
    WHERE first_received_at >= $3 AND first_received_at < $1
          AND coalesce(last_received_at, first_received_at) < $1
    ORDER BY first_received_at LIMIT $2
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM sms_data.message WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT (SELECT count(*) FROM old) AS found, (SELECT count(*) FROM gone) AS deleted,
       (SELECT max(first_received_at) FROM old) AS reached
"""
"""By their place on the disk: a look-up by key for each costs thirty times as much.

A message that a writer has locked has a report right now: it stays, and neither waits for the other.

$3: where the last batch ended. Deleted rows stay in the index until the longest query has ended, and each batch would
read those of all batches before it.
"""

_DELETE_OLD_ENVELOPES: Final = """
WITH old AS MATERIALIZED (
    SELECT ctid, received_at FROM sms_data.envelope AS e
    WHERE received_at >= $3 AND received_at < $1
          AND NOT EXISTS (SELECT FROM sms_data.message AS m
                          WHERE m.message_id = e.message_id AND m.provider = e.provider)
    ORDER BY received_at LIMIT $2
), gone AS (
    DELETE FROM sms_data.envelope WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT (SELECT count(*) FROM old) AS found, (SELECT count(*) FROM gone) AS deleted,
       (SELECT max(received_at) FROM old) AS reached
"""
"""After the messages: an envelope is kept as long as its message, which later reports may keep alive."""

_DELETE_OLD_PROBES: Final = "DELETE FROM sms_data.probe WHERE probed_at < now() - interval '1 hour'"

_DELETE_OLD_REPLY_KEYS: Final = """
WITH old AS MATERIALIZED (
    SELECT ctid, received_at FROM sms_data.reply_key
    WHERE received_at >= $3 AND received_at < $1
    ORDER BY received_at LIMIT $2
), gone AS (
    DELETE FROM sms_data.reply_key WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT (SELECT count(*) FROM old) AS found, (SELECT count(*) FROM gone) AS deleted,
       (SELECT max(received_at) FROM old) AS reached
"""

_STATEMENTS: Final = (_DELETE_OLD_MESSAGES, _DELETE_OLD_ENVELOPES, _DELETE_OLD_REPLY_KEYS)
_ON_SHARDS: Final = tuple(
    f"SELECT * FROM sms_data.delete_old('{name}', $1, $2, $3)"  # noqa: S608 - our own names
    for name in ("message", "envelope", "reply_key")
)


@dataclass(slots=True)
class Retired:
    """What went, and the partitions that are `left` because they were being read."""

    dropped: list[str] = field(default_factory=list)
    deleted: int = 0
    left: list[str] = field(default_factory=list)


async def retire(
    connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date, patience_s: float, told: Told = UNTOLD
) -> Retired:
    """Drop and delete what is older than the day `cutoff`, and try for `patience_s` to drop what somebody reads.

    Needs the owner's rights.
    """
    done = Retired()
    midnight = midnight_of(cutoff)
    await counts.without_messages(connection, midnight)
    give_up = time.monotonic() + patience_s
    concurrently = not await distributing.is_distributed(connection)
    await connection.execute(sql.SET_LOCK_TIMEOUT, _LOCK_TIMEOUT if concurrently else _BRIEF_LOCK_TIMEOUT)
    await _drop(connection, cutoff, done, told, concurrently=concurrently)
    done.deleted = await _delete(connection, midnight, told, _STATEMENTS if concurrently else _ON_SHARDS)
    await counts.thin(connection, midnight)
    while done.left and time.monotonic() < give_up:
        await asyncio.sleep(_ATTEMPT_EVERY_S)
        await _drop(connection, cutoff, done, told, concurrently=concurrently)
    return done


async def drop_old_probes(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Delete the rows that probes have left, where a probe itself does not. Needs the owner's rights."""
    await connection.execute(_DELETE_OLD_PROBES)


async def _drop(
    connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date, done: Retired, told: Told, *, concurrently: bool
) -> None:
    """One attempt for each old partition; also finishes what an interrupted round left detached.

    Not `concurrently`: the drop itself detaches it.
    """
    done.left = []
    old = await connection.fetch(sql.OLD_PARTITIONS, cutoff)
    told.stage("dropping partitions", len(old))
    for row in old:
        parent, name = row["parent"], row["name"]
        told.note(name)
        try:
            if row["attached"] and concurrently:
                # The first detachment waits for the table's readers, and blocks none that come meanwhile. Once it is
                # pending, new queries leave the partition out.
                finish = "FINALIZE" if row["detaching"] else "CONCURRENTLY"
                await connection.execute(f'ALTER TABLE sms_data."{parent}" DETACH PARTITION sms_data."{name}" {finish}')
            await connection.execute(f'DROP TABLE sms_data."{name}"')
        except asyncpg.LockNotAvailableError:
            done.left.append(name)
        except _CONCURRENTLY_DETACHED:
            # Another instance is at it, or another partition of this table waits: PostgreSQL detaches one at a time.
            if any(one.startswith(f"{parent}_") for one in done.left):
                done.left.append(name)
        else:
            done.dropped.append(name)
            told.advance()


def midnight_of(day: date) -> datetime:
    """Its beginning in UTC. asyncpg takes a bare date as midnight of the local time zone."""
    return datetime.combine(day, time_of_day.min, UTC)


async def _delete(
    connection: "asyncpg.Connection[asyncpg.Record]", midnight: datetime, told: Told, statements: Sequence[str]
) -> int:
    """Delete from the tables that have no daily partitions, in small transactions with a pause as long after each."""
    deleted = 0
    told.stage("deleting old messages")
    for statement in statements:
        reached, found = _EARLIEST, _DELETE_BATCH
        while found == _DELETE_BATCH:
            began = time.monotonic()
            ((found, gone, until),) = await connection.fetch(statement, midnight, _DELETE_BATCH, reached)
            deleted += gone
            told.advance(gone)
            reached = until or reached
            await asyncio.sleep(time.monotonic() - began)
    return deleted
