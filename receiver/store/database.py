"""One connection to PostgreSQL, made when it is needed: a group is written on it together, or its rows one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg

from receiver.store import postgres
from receiver.store.job import Job, Receipt
from receiver.telemetry.logs import get_logger

_RETRIES_AT_ONCE: Final = 3

Connect = Callable[[str, float, float], Awaitable[postgres.Session]]
"""As `postgres.connect`: of a URL, a statement's time-out, and the time within which the session must be ready."""

log = get_logger()


class Database:
    """Owns the connection; `drop` closes it. For one caller at a time."""

    def __init__(self, url: str, timeout_s: float, connect: Connect = postgres.connect) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connect = connect
        self._session: postgres.Session | None = None

    async def write(self, jobs: Sequence[Job], *, connect_timeout_s: float) -> list[Receipt]:
        """One transaction for all; where a row in it is poison, the halves apart. Raises postgres.TRANSIENT."""
        try:
            receipt = await self._transaction(jobs, connect_timeout_s)
        except postgres.POISON as error:
            return await self._isolate(jobs, error, connect_timeout_s)
        except postgres.TRANSIENT:
            self.drop()
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours with one row must not stop the writer
            log.error("writer.failed", error=type(error).__name__, reports=len(jobs))  # noqa: TRY400 - may quote rows
            self.drop()
            return await self._isolate(jobs, error, connect_timeout_s)
        return _divide(jobs, receipt)

    def drop(self) -> None:
        """Close the connection without a farewell, for which a hung server would let us wait."""
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None

    async def _isolate(self, jobs: Sequence[Job], error: Exception, connect_timeout_s: float) -> list[Receipt]:
        """The halves apart, down to the row that the database refuses: that is the caller's to keep as rejected."""
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
                # Each transaction's own deadline: to find many poisoned rows takes many, and all of it must come to an
                # end. Apart from the connecting, or a slow network that serves the one would never get both.
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
    """Each job's share of the receipt. Of two jobs with the same report, the first one stored it."""
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
    """The error's first line: the rest may quote values."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
