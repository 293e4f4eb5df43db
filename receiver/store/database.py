"""One connection to PostgreSQL, opened on demand; writes a group of jobs together, or isolates the rows it refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg

from receiver.store import postgres
from receiver.store.job import Job, Receipt
from receiver.telemetry.logs import get_logger

_RETRIES_AT_ONCE: Final = 3

Connect = Callable[[str, float, float], Awaitable[postgres.Session]]
"""As `postgres.connect`: takes the URL, the time-out of a statement, and that of connecting, in seconds."""

log = get_logger()


class Database:
    """Owns the connection; `drop` closes it. Not for concurrent calls."""

    def __init__(self, url: str, timeout_s: float, connect: Connect = postgres.connect) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connect = connect
        self._session: postgres.Session | None = None

    async def write(self, jobs: Sequence[Job], *, connect_timeout_s: float) -> list[Receipt]:
        """Write all in one transaction; if a row in it is poison, each half separately. Raises postgres.TRANSIENT."""
        try:
            receipt = await self._transaction(jobs, connect_timeout_s)
        except postgres.POISON as error:
            return await self._isolate(jobs, error, connect_timeout_s)
        except postgres.TRANSIENT:
            self.drop()
            raise
        except Exception as error:  # noqa: BLE001 - a bug with one row must not stop the writer
            log.error("writer.failed", error=type(error).__name__, reports=len(jobs))  # noqa: TRY400 - may quote rows
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
                # A deadline per transaction: to isolate many poisoned rows takes many, and each must end. Connecting
                # has its own time-out, or over a slow network the two together would never finish in time.
                async with asyncio.timeout(self._timeout_s):
                    return await postgres.write(session, jobs, self._timeout_s)
            except postgres.PartitionMissing:
                log.warning("partitions.missing")
                await postgres.create_partitions(session, jobs)
            except postgres.RETRY_AT_ONCE:
                log.info("database.retry")
        raise asyncpg.InterfaceError("retries did not help")

    async def _connected(self, timeout_s: float) -> postgres.Session:
        if self._session is None or self._session.connection.is_closed():
            self._session = await self._connect(self._url, self._timeout_s, timeout_s)
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
    """The error's first line, as the rest may quote values."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
