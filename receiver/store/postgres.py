"""One transaction against PostgreSQL: what is written, and what its errors mean."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC
from typing import Final
from uuid import UUID

import asyncpg

from receiver.store import sql
from receiver.store.batch import (
    Batch,
    arrange,
    keys,
    message_columns,
    rejected_columns,
    reply_columns,
    report_columns,
    submission_columns,
)
from receiver.store.job import Job, Receipt

POISON: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeError,
    OverflowError,
)
"""A row that can't be stored because of what it is. Every other error is the database's state, and may pass."""

TRANSIENT: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""`TimeoutError` is an OSError."""

_PARAMETER: Final = re.compile(r"\$(\d+)")

RETRY_AT_ONCE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class PartitionMissing(Exception):  # noqa: N818 - a state of the database
    """A row's day has no partition."""


async def connect(url: str, timeout_s: float, patience_s: float) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of the write path, ready within `patience_s`: every wait on it has an end."""
    async with asyncio.timeout(patience_s):
        connection = await asyncpg.connect(
            url, timeout=patience_s, command_timeout=timeout_s, server_settings={"application_name": "receiver"}
        )
        try:
            await _warm_up(connection)
        except BaseException:
            connection.terminate()
            raise
    return connection


async def _warm_up(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let the driver learn the main statements and their types, and see that PostgreSQL lets us write.

    That is a dozen round trips: over a slow network, more than there is time for in the first transaction.
    """
    await connection.execute("BEGIN")
    await connection.fetch(sql.UPSERT_MESSAGES, *_no_rows(sql.UPSERT_MESSAGES)[:-1], sql.MAX_REPORTS_A_MESSAGE)
    await connection.execute(sql.INSERT_REPORTS, *_no_rows(sql.INSERT_REPORTS))
    await connection.execute(sql.ROLLBACK)


def _no_rows(statement: str) -> list[list[object]]:
    """An empty column for each of the statement's parameters."""
    return [[] for _ in range(max(map(int, _PARAMETER.findall(statement))))]


async def write(connection: "asyncpg.Connection[asyncpg.Record]", jobs: Sequence[Job], timeout_s: float) -> Receipt:
    """Store the jobs in one transaction and return once it is committed."""
    batch = arrange(jobs)
    await connection.execute(sql.BEGIN.format(timeout_ms=int(timeout_s * 1000)))
    try:
        receipt = await _statements(connection, batch)
    except (*POISON, *TRANSIENT) as error:
        await connection.execute(sql.ROLLBACK)
        if _names_no_partition(error):
            raise PartitionMissing from error
        raise
    if await connection.execute(sql.COMMIT) != sql.COMMIT:  # PostgreSQL answers ROLLBACK where there was a fault
        raise asyncpg.InterfaceError("the transaction was rolled back")
    return receipt


async def create_partitions(connection: "asyncpg.Connection[asyncpg.Record]", jobs: Sequence[Job]) -> None:
    """Create the partitions of the days that these jobs belong to: a spooled callback may be from days ago."""
    for day in sorted({job.callback.received_at.astimezone(UTC).date() for job in jobs}):
        await connection.execute(sql.CREATE_PARTITIONS, day)


async def _statements(connection: "asyncpg.Connection[asyncpg.Record]", batch: Batch) -> Receipt:
    receipt = Receipt()
    if batch.messages:
        rows = await connection.fetch(sql.UPSERT_MESSAGES, *message_columns(batch), sql.MAX_REPORTS_A_MESSAGE)
        fresh: list[UUID] = [row["row_id"] for row in rows]
        await _insert_fresh(connection, batch, fresh)
        receipt.stored.update(fresh)
        if len(fresh) < len(batch.reports) + len(batch.submissions):
            receipt.refused = await _too_many(connection, batch, receipt.stored)
    if batch.replies:
        rows = await connection.fetch(sql.INSERT_REPLIES, *reply_columns(batch))
        receipt.stored.update(row["reply_id"] for row in rows)
    if batch.rejected:
        await connection.execute(sql.INSERT_REJECTED, *rejected_columns(batch))
    return receipt


async def _insert_fresh(connection: "asyncpg.Connection[asyncpg.Record]", batch: Batch, fresh: list[UUID]) -> None:
    """The rows behind the states: reports and submissions that were not there before."""
    if reports := [row_id for row_id in fresh if row_id in batch.reports]:
        await connection.execute(sql.INSERT_REPORTS, *report_columns(batch, reports))
    if submissions := [row_id for row_id in fresh if row_id in batch.submissions]:
        await connection.execute(sql.INSERT_SUBMISSIONS, *submission_columns(batch, submissions))


async def _too_many(
    connection: "asyncpg.Connection[asyncpg.Record]", batch: Batch, stored: set[UUID]
) -> dict[UUID, str]:
    """Of the rows that were not stored, those that are no duplicates."""
    rest = [(*key, row_id) for row_id, key in keys(batch) if row_id not in stored]
    rows = await connection.fetch(sql.UNSEEN, *zip(*rest, strict=True))
    reason = f"more than {sql.MAX_REPORTS_A_MESSAGE} different reports about one message"
    return {row["row_id"]: reason for row in rows}


def _names_no_partition(error: BaseException) -> bool:
    """PostgreSQL gives a missing partition the code of a check violation, but no constraint's name."""
    return isinstance(error, asyncpg.CheckViolationError) and not error.constraint_name
