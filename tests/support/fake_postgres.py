"""A stand-in for PostgreSQL at the other end of the write path: rows by their identity, and faults on request.

It knows the statements of `receiver.store.sql` and nothing of SQL. Whether they are right is for the tests with a real
server; here it is about the code before them.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from receiver.store import postgres, sql

Fault = BaseException | float
"""An error that is raised, or seconds that it takes."""

Rows = list[tuple[Any, ...]]
_CODE, _REPORT_IN_MESSAGE, _SEEN_BY_MESSAGE = 6, 20, 21
"""Places in the rows of receiver.store.batch.Incoming."""

_INSERTS = {sql.INSERT_SUBMISSIONS: "submissions", sql.INSERT_ENVELOPES: "envelopes", sql.INSERT_REJECTED: "rejected"}


def poison() -> asyncpg.PostgresError:
    """What a CHECK constraint says: its second line quotes the row."""
    error = asyncpg.CheckViolationError("violates check constraint no_poison\nDETAIL: quotes the row")
    error.constraint_name = "no_poison"
    return error


def partition_missing() -> asyncpg.PostgresError:
    """The same code, and no constraint's name."""
    return asyncpg.CheckViolationError("no partition of relation found for row")


@dataclass(slots=True)
class FakePostgres:
    """`groups` are the messages that each commit brought reports or submissions of.

    `faults` are met one after another, each by one transaction; `of_everything` by all, those `of_` something by each
    transaction that has it. With more than `most_rows` reports a transaction never ends. `known` says whether a message
    has room for a report.
    """

    of_code: dict[str, Fault] = field(default_factory=dict)
    of_reply: dict[str, Fault] = field(default_factory=dict)
    of_error: dict[str, Fault] = field(default_factory=dict)
    of_connecting: Fault | None = None
    of_everything: Fault | None = None
    faults: list[Fault] = field(default_factory=list)
    takes_s: float = 0.0
    most_rows: int | None = None
    prepares: bool = True
    commits: bool = True
    known: Callable[[str], bool] = lambda _message: True

    groups: list[list[str]] = field(default_factory=list)
    rejected: list[tuple[bytes, str]] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    days: list[object] = field(default_factory=list)
    probes: int = 0
    connections: list["FakeConnection"] = field(default_factory=list)
    patiences: list[float] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    @property
    def messages(self) -> list[str]:
        """The message ids of what is stored, in the order of the commits."""
        return [message for group in self.groups for message in group]

    async def connect(self, _url: str, _timeout_s: float, connect_timeout_s: float) -> postgres.Session:
        """Stands in for `postgres.connect`."""
        self.patiences.append(connect_timeout_s)
        async with asyncio.timeout(connect_timeout_s):
            await _meet(self.of_connecting)
        connection = FakeConnection(self)
        self.connections.append(connection)
        return postgres.Session(connection, Prepared(connection) if self.prepares else None)

    async def meet_next(self) -> None:
        """The faults that do not depend on the rows."""
        await asyncio.sleep(self.takes_s)
        if self.faults:
            await _meet(self.faults.pop(0))
        await _meet(self.of_everything)

    def store(self, transaction: "_Transaction") -> None:
        """Commit."""
        self._ids |= transaction.ids
        if transaction.messages:
            self.groups.append(transaction.messages)
        self.rejected += transaction.rejected
        self.inserted += transaction.inserted
        self.probes += transaction.probes

    def is_new(self, row_id: str) -> bool:
        return row_id not in self._ids


@dataclass(slots=True)
class _Transaction:
    ids: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    rejected: list[tuple[bytes, str]] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    probes: int = 0


class FakeConnection:
    """What the write path asks of asyncpg's connection."""

    def __init__(self, server: FakePostgres) -> None:
        self._server = server
        self._transaction: _Transaction | None = None
        self._closed = False
        self.rolled_back = 0

    @property
    def in_transaction(self) -> bool:
        return self._transaction is not None

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        self._closed = True

    async def execute(self, statement: str, *args: Any) -> str:
        if statement == sql.CREATE_PARTITIONS:
            self._server.days.append(args[0])
        elif statement == sql.ROLLBACK:
            self._transaction = None
            self.rolled_back += 1
        elif statement == sql.COMMIT:
            await self._server.meet_next()
            if not self._server.commits:
                return sql.ROLLBACK
            self._server.store(self._open())
            self._transaction = None
        elif statement == sql.PROBE:
            self._open().probes += 1
        elif statement in _INSERTS:
            await self._insert(_INSERTS[statement], args)
        elif statement.lstrip().startswith("BEGIN"):
            self._transaction = _Transaction()
        else:
            raise AssertionError(f"unknown statement: {statement}")
        return statement

    async def fetch(self, statement: str, *args: Any) -> list[dict[str, Any]]:
        if statement == sql.STORE_REPORTS:
            return [row async for row in self._store_reports(*args)]
        assert statement == sql.INSERT_REPLIES
        for text in args[5]:
            await _meet(self._server.of_reply.get(text))
        new = [reply_id for reply_id in args[0] if self._server.is_new(reply_id)]
        self._open().ids.update(new)
        self._open().inserted += ["replies"] * len(new)
        return [{"reply_id": reply_id} for reply_id in new]

    async def _store_reports(self, lone: Rows, messages: Rows, reports: Rows, _most: int, _timeout_ms: int) -> Any:
        given = [*lone, *reports]
        if self._server.most_rows is not None and len(given) > self._server.most_rows:
            await asyncio.sleep(1_000_000)
        for report in given:
            await _meet(self._server.of_code.get(report[_CODE]))
        ids = [(report[0], report[1]) for report in lone]
        ids += [
            (row_id, message[0])
            for message in messages
            for row_id in message[_SEEN_BY_MESSAGE] or [message[_REPORT_IN_MESSAGE]]
        ]
        for row_id, message_id in ids:
            if not self._server.is_new(row_id):
                yield {"row_id": row_id, "known": True}
            elif not self._server.known(message_id):
                yield {"row_id": row_id, "known": False}
            else:
                self._open().ids.add(row_id)
                self._open().messages.append(message_id)

    async def _insert(self, table: str, columns: tuple[tuple[Any, ...], ...]) -> None:
        if table == "rejected":
            for row_id, error, body in _rejected(columns):
                await _meet(self._server.of_error.get(error))
                if self._server.is_new(row_id):
                    self._open().ids.add(row_id)
                    self._open().rejected.append((body, error))
        self._open().inserted += [table] * len(columns[0])

    def _open(self) -> _Transaction:
        assert self._transaction is not None, "outside of a transaction"
        return self._transaction


class Prepared:
    """The main statement: a transaction by itself where none is open."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    async def fetch(self, *args: Any) -> list[dict[str, Any]]:
        if self._connection.in_transaction:
            return await self._connection.fetch(sql.STORE_REPORTS, *args)
        await self._connection.execute("BEGIN")
        try:
            rows = await self._connection.fetch(sql.STORE_REPORTS, *args)
            await self._connection.execute(sql.COMMIT)
        except BaseException:
            await self._connection.execute(sql.ROLLBACK)
            raise
        return rows


def _rejected(columns: tuple[tuple[Any, ...], ...]) -> Iterator[tuple[str, str, bytes]]:
    return zip(columns[0], columns[4], columns[6], strict=True)


async def _meet(fault: Fault | None) -> None:
    if isinstance(fault, BaseException):
        raise fault
    if fault is not None:
        await asyncio.sleep(fault)
