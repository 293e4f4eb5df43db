"""Write transactions against PostgreSQL on one connection, and the classes of its errors."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Final

import asyncpg
import orjson
from asyncpg.prepared_stmt import PreparedStatement

from receiver.report import RowId
from receiver.store import connecting, sql, standing
from receiver.store.batch import Batch, arrange, incoming
from receiver.store.columns import envelope_columns, rejected_columns, reply_columns, submission_columns
from receiver.store.connecting import Connection
from receiver.store.job import Job, Receipt
from receiver.store.racing import MAY_PASS, Unsuitable
from receiver.store.timelines import Timelines
from receiver.telemetry.logs import get_logger

POISON: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeError,
    OverflowError,
    orjson.JSONEncodeError,
)
"""Errors of a row that can never be stored. Every other error is a state of the database, and may pass."""

TRANSIENT: Final = MAY_PASS
"""Errors that may pass. `TimeoutError` is an OSError."""

_TOO_MANY: Final = f"more than {sql.MAX_REPORTS_A_MESSAGE} different reports about one message"

_RETRIES_AT_ONCE: Final = 3
_PATIENCE: Final = 0.75
"""Share of a statement's time in which the standby has to confirm: the error then says more than a time-out."""

RETRY_AT_ONCE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Session:
    """A connection of the write path; `store` is the main statement if it can stay prepared.

    `is_old` says whether its server was superseded by a promotion that has been seen since. `not_older` is the
    statement that raises where a pooler has gone back to such a server. `replicated` is the one that raises unless a
    synchronous standby has what is committed, empty where none is needed.
    """

    connection: "asyncpg.Connection[asyncpg.Record]"
    store: "PreparedStatement[asyncpg.Record] | None" = None
    is_old: Callable[[], bool] = lambda: False
    not_older: str = ""
    replicated: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether the next transaction may go there."""
        return not (self.connection.is_closed() or self.is_old())


async def connect(
    url: str,
    timeout_s: float,
    connect_timeout_s: float,
    timelines: Timelines | None = None,
    *,
    needs_replica: bool = False,
) -> Session:
    """A session of the write path, ready within `connect_timeout_s`; `timeout_s` bounds each of its statements.

    Never with a server below the highest of the `timelines`. Raises Unsuitable, NoHost.
    """
    known = Timelines() if timelines is None else timelines
    async with asyncio.timeout(connect_timeout_s):
        connection = await connecting.connect(
            url, timeout_s=connect_timeout_s, command_timeout_s=timeout_s, refused=known.judge
        )
        try:
            return await _warm_up(connection, timeout_s, known, needs_replica=needs_replica)
        except BaseException:
            connection.terminate()
            raise


async def _warm_up(connection: Connection, timeout_s: float, timelines: Timelines, *, needs_replica: bool) -> Session:
    """Check that PostgreSQL lets us write, and prepare the main statement if it can stay so; in few round trips."""
    not_unconfirmed = sql.NOT_UNCONFIRMED.format(patience_ms=int(timeout_s * 1000))
    await connection.execute(f"{sql.BEGIN.format(timeout_ms=0)} {not_unconfirmed} {standing.SAVEPOINT}")
    found = connection.standing or await standing.ask(connection)
    if reason := timelines.judge(connection.url, found):
        raise Unsuitable(reason)
    # A pooler does not know the process id of the server that it will choose, and would lose a prepared statement.
    pooled = found.pid != connection.get_server_pid()
    store = None if pooled else await connection.prepare(sql.STORE_REPORTS, name="store_reports")
    patience_ms = int(timeout_s * _PATIENCE * 1000)
    replicated = sql.REPLICATED.format(patience_ms=patience_ms, timeline=found.timeline or 0) if needs_replica else ""
    not_older = sql.NOT_OLDER.format(timeline=found.timeline) if pooled and found.timeline else ""
    session = Session(connection, store, partial(timelines.is_old, found), not_older, replicated)
    await _store_reports(session, Batch(), 0)
    # The prepared statement runs without BEGIN, so its settings are the session's; a pooler would give them to others.
    settings = sql.SESSION.format(timeout_ms=int(timeout_s * 1000)) if session.store else ""
    await connection.execute(f"{sql.ROLLBACK}; {settings}; {replicated}")
    return session


async def write(session: Session, jobs: Sequence[Job], timeout_s: float) -> Receipt:
    """Store the jobs in one transaction, which `timeout_s` bounds; returns once it is committed.

    Creates the partitions of their days if one is missing, and tries once more. Raises POISON, TRANSIENT.
    """
    batch = arrange(jobs)
    try:
        return await _store(session, batch, timeout_s)
    except asyncpg.CheckViolationError as error:
        # PostgreSQL gives a missing partition the code of a check violation, but no constraint's name. Nor does a shard
        # of Citus name the constraint that a row violates: the second time it is poison.
        if error.constraint_name:
            raise
    log.warning("partitions.missing")
    await create_partitions(session, jobs)
    return await _store(session, batch, timeout_s)


async def confirm(session: Session, timeout_s: float) -> None:
    """Returns once all that a transaction has found is on every machine that a commit waits for.

    A transaction that changes nothing waits for no standby. What it found may be on this server alone: committed by a
    session that was ended, or a server that was restarted, while it waited for one.
    """
    await _store(session, Batch(), timeout_s)


async def create_partitions(session: Session, jobs: Sequence[Job]) -> None:
    """Create the partitions for the days of these jobs: a spooled callback may be days old."""
    for day in sorted({job.callback.received_at.astimezone(UTC).date() for job in jobs}):
        await session.connection.execute(sql.CREATE_PARTITIONS, day)


async def _store(session: Session, batch: Batch, timeout_s: float) -> Receipt:
    timeout_ms = int(timeout_s * 1000)
    async with asyncio.timeout(timeout_s):
        if batch.reports_alone and session.store:  # a transaction of its own, in one round trip
            return await _store_reports(session, batch, timeout_ms)
        return await _transaction(session, batch, timeout_ms)


async def _transaction(session: Session, batch: Batch, timeout_ms: int) -> Receipt:
    await session.connection.execute(f"{sql.BEGIN.format(timeout_ms=timeout_ms)} {session.not_older}")
    try:
        receipt = await _statements(session, batch, timeout_ms)
    except (*POISON, *TRANSIENT):
        await session.connection.execute(sql.ROLLBACK)
        raise
    if await session.connection.execute(sql.COMMIT) != sql.COMMIT:  # ROLLBACK: the transaction had failed
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
    """Store the reports and the states of their messages, and those of submitted messages."""
    run = session.store.fetch if session.store else partial(session.connection.fetch, sql.STORE_REPORTS)
    given = incoming(batch)
    rows = await run(given.lone, given.messages, given.reports, sql.MAX_REPORTS_A_MESSAGE, timeout_ms)
    stored = {*batch.reports, *batch.submissions}
    stored.difference_update([row["row_id"] for row in rows])
    return Receipt(stored, {RowId(row["row_id"]): _TOO_MANY for row in rows if not row["known"]})


Connect = Callable[[str, float, float], Awaitable[Session]]
"""As `connect`: of a URL, a statement's time-out, and the time within which the session must be ready."""


class Database:
    """Owns the connection; `drop` closes it. Not for concurrent calls."""

    def __init__(self, url: str, timeout_s: float, connect: Connect = connect) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connect = connect
        self._session: Session | None = None

    async def write(self, jobs: Sequence[Job], *, connect_timeout_s: float) -> list[Receipt]:
        """Write all in one transaction; if a row in it is poison, each half separately. Raises TRANSIENT."""
        try:
            receipt = await self._transaction(jobs, connect_timeout_s)
        except POISON as error:
            return await self._isolate(jobs, error, connect_timeout_s)
        except TRANSIENT:
            self.drop()
            raise
        except Exception as error:  # noqa: BLE001 - a bug with one row must not stop the writer
            log.error("writer.failed", error=type(error).__name__, reports=len(jobs))
            self.drop()
            return await self._isolate(jobs, error, connect_timeout_s)
        return _divide(jobs, receipt)

    def drop(self) -> None:
        """Terminate the connection: `close` would wait for a hung server."""
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None

    async def _isolate(self, jobs: Sequence[Job], error: Exception, connect_timeout_s: float) -> list[Receipt]:
        """Write the halves separately, down to the row that is refused; the caller keeps that as rejected."""
        if len(jobs) > 1:
            middle = len(jobs) // 2
            first = await self.write(jobs[:middle], connect_timeout_s=connect_timeout_s)
            return [*first, *await self.write(jobs[middle:], connect_timeout_s=connect_timeout_s)]
        pieces = jobs[0].pieces()
        whole = Receipt()
        if len(pieces) > 1:
            for receipt in await self.write(pieces, connect_timeout_s=connect_timeout_s):
                whole.add(receipt)
        else:
            ids = jobs[0].ids
            whole.refused = dict.fromkeys(ids, f"the database refuses it: {summary(error)}")
            if not ids:
                log.error("payload.lost", request_id=jobs[0].callback.request_id, detail=summary(error))
        return [whole]

    async def _transaction(self, jobs: Sequence[Job], connect_timeout_s: float) -> Receipt:
        for _ in range(_RETRIES_AT_ONCE):
            session = await self._connected(connect_timeout_s)
            try:
                return await self._confirmed(session, jobs)
            except RETRY_AT_ONCE:
                log.info("database.retry")
        raise asyncpg.InterfaceError("retries did not help")

    async def _confirmed(self, session: Session, jobs: Sequence[Job]) -> Receipt:
        """Write, and confirm what was there already; all of it where a replica is needed.

        A deadline per transaction: to isolate many poisoned rows takes many, and each must end. Connecting has its own
        time-out, or over a slow network the two together would never finish in time.
        """
        receipt = await write(session, jobs, self._timeout_s)
        if session.replicated:
            async with asyncio.timeout(self._timeout_s):
                await session.connection.execute(session.replicated)
        elif not receipt.stored and any(job.size for job in jobs):
            await confirm(session, self._timeout_s)
        return receipt

    async def _connected(self, timeout_s: float) -> Session:
        if self._session is None or not self._session.is_usable:
            self.drop()
            try:
                self._session = await self._connect(self._url, self._timeout_s, timeout_s)
            except Exception as error:
                if isinstance(error, POISON) or not isinstance(error, TRANSIENT):  # no row is to blame
                    raise ConnectionError(f"{type(error).__name__}: {summary(error)}") from error
                raise
        return self._session


def _divide(jobs: Sequence[Job], receipt: Receipt) -> list[Receipt]:
    """The receipt of each job. Of two jobs with the same report, the first one stored it."""
    receipts = []
    left = receipt.stored
    for job in jobs:
        ids = job.ids
        stored = left.intersection(ids)
        left -= stored
        refused = {i: receipt.refused[i] for i in ids if i in receipt.refused} if receipt.refused else {}
        receipts.append(Receipt(stored, refused))
    return receipts


def summary(error: BaseException) -> str:
    """The error's first line, as the rest may quote values; so does what asyncpg says about one that it cannot send."""
    if isinstance(error, asyncpg.DataError) and error.__cause__:
        error = error.__cause__
    return str(error).partition("\n")[0][:200] or type(error).__name__
