"""One transaction against PostgreSQL: what is written, and what its errors mean."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Final

import asyncpg
import orjson
from asyncpg.prepared_stmt import PreparedStatement

from receiver.report import RowId
from receiver.store import connecting, sql
from receiver.store.batch import (
    Batch,
    arrange,
    envelope_columns,
    message_rows,
    rejected_columns,
    reply_columns,
    report_rows,
    submission_columns,
)
from receiver.store.connecting import Connection
from receiver.store.job import Job, Receipt

POISON: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeError,
    OverflowError,
    orjson.JSONEncodeError,
)
"""A row that can't be stored because of what it is. Every other error is the database's state, and may pass."""

TRANSIENT: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""`TimeoutError` is an OSError."""

_TOO_MANY: Final = f"more than {sql.MAX_REPORTS_A_MESSAGE} different reports about one message"

RETRY_AT_ONCE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class PartitionMissing(Exception):  # noqa: N818 - a state of the database
    """A row's day has no partition."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection of the write path, and the main statement where it can stay prepared."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    store: "PreparedStatement[asyncpg.Record] | None" = None


async def connect(url: str, timeout_s: float, patience_s: float) -> Session:
    """A session of the write path, ready within `patience_s`: every wait on it has an end."""
    async with asyncio.timeout(patience_s):
        opened = await connecting.connect(url, timeout_s=patience_s, command_timeout_s=timeout_s)
        try:
            return await _warm_up(opened, timeout_s)
        except BaseException:
            opened.terminate()
            raise


async def _warm_up(opened: Connection, timeout_s: float) -> Session:
    """See that PostgreSQL lets us write, and prepare what can stay prepared.

    In few round trips: over a slow network there is no time for more.
    """
    await opened.execute(sql.BEGIN.format(timeout_ms=0))
    session = Session(opened, await connecting.prepared(opened))
    await _store_reports(session, Batch(), 0)
    # With its own transaction the main statement cannot set its time-out for itself; and a pooler would pass it on.
    settled = sql.STATEMENT_TIMEOUT.format(timeout_ms=int(timeout_s * 1000)) if session.store else ""
    await opened.execute(f"{sql.ROLLBACK}; {settled}")
    return session


async def write(session: Session, jobs: Sequence[Job], timeout_s: float) -> Receipt:
    """Store the jobs in one transaction and return once it is committed."""
    batch = arrange(jobs)
    timeout_ms = int(timeout_s * 1000)
    try:
        if batch.reports_alone and session.store:  # a transaction of its own, in one round trip
            return await _store_reports(session, batch, timeout_ms)
        return await _transaction(session, batch, timeout_ms)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name:
            raise
        # PostgreSQL gives a missing partition the code of a check violation, but no constraint's name.
        raise PartitionMissing from error


async def create_partitions(session: Session, jobs: Sequence[Job]) -> None:
    """Create the partitions of the days that these jobs belong to: a spooled callback may be from days ago."""
    for day in sorted({job.callback.received_at.astimezone(UTC).date() for job in jobs}):
        await session.connection.execute(sql.CREATE_PARTITIONS, day)


async def _transaction(session: Session, batch: Batch, timeout_ms: int) -> Receipt:
    await session.connection.execute(sql.BEGIN.format(timeout_ms=timeout_ms))
    try:
        receipt = await _statements(session, batch, timeout_ms)
    except (*POISON, *TRANSIENT):
        await session.connection.execute(sql.ROLLBACK)
        raise
    if await session.connection.execute(sql.COMMIT) != sql.COMMIT:  # ROLLBACK: there was a fault
        raise asyncpg.InterfaceError("the transaction was rolled back")
    return receipt


async def _statements(session: Session, batch: Batch, timeout_ms: int) -> Receipt:
    receipt = Receipt()
    if batch.is_empty:
        await session.connection.execute(sql.PROBE)
    if batch.messages:
        receipt = await _store_reports(session, batch, timeout_ms)
        if submissions := receipt.stored & batch.submissions.keys():
            await session.connection.execute(sql.INSERT_SUBMISSIONS, *submission_columns(batch, submissions))
        if batch.has_envelopes and (columns := envelope_columns(batch, receipt.stored)):
            await session.connection.execute(sql.INSERT_ENVELOPES, *columns)
    if batch.replies:
        rows = await session.connection.fetch(sql.INSERT_REPLIES, *reply_columns(batch))
        receipt.stored.update(row["reply_id"] for row in rows)
    if batch.rejected:
        await session.connection.execute(sql.INSERT_REJECTED, *rejected_columns(batch))
    return receipt


async def _store_reports(session: Session, batch: Batch, timeout_ms: int) -> Receipt:
    """The reports with their messages' states, and the states of the messages that were submitted."""
    given = batch.reports.keys() | batch.submissions.keys()
    run = session.store.fetch if session.store else partial(session.connection.fetch, sql.STORE_REPORTS)
    rows = await run(
        message_rows(batch).decode(),
        report_rows(batch).decode(),
        len(given),
        sql.MAX_REPORTS_A_MESSAGE,
        timeout_ms,
    )
    refused = {RowId(row["row_id"]): _TOO_MANY for row in rows if not row["known"]}
    return Receipt(given.difference(row["row_id"] for row in rows), refused)
