"""A server's standing among several: whether it takes writes, and which line of history it writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from receiver.store.connecting import Connection

_PLAIN: Final = """
SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
    pg_backend_pid() AS pid, NULL AS system, NULL::bigint AS timeline, pg_postmaster_start_time() AS started
"""
_WHOLE: Final = """
SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
    pg_backend_pid() AS pid, (SELECT system_identifier::text FROM pg_control_system()) AS system,
    CASE WHEN NOT pg_is_in_recovery()
         THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline,
    pg_postmaster_start_time() AS started
"""
"""The name of a WAL file begins with its timeline (PostgreSQL: WAL Internals); the one in pg_control is older than a
promotion until the next checkpoint."""


SAVEPOINT: Final = "SAVEPOINT asked"
"""To be set before `ask` in a transaction, which goes on if the server does not tell all."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`pid` is the server's process; `system` the identifier that a primary and its standbys share; `timeline` rises
    with each promotion; `started` tells two servers apart where the URL leads to one by two ways.

    `system` and `timeline` are None where PostgreSQL does not tell them: a standby has no timeline of its own, and some
    managed services hide both.
    """

    standby: bool
    read_only: bool
    pid: int
    system: str | None = None
    timeline: int | None = None
    started: datetime | None = None

    @property
    def writable(self) -> bool:
        """Whether it takes writes."""
        return not (self.standby or self.read_only)


async def ask(connection: "Connection") -> Standing:
    """Its standing now; every login may ask."""
    try:
        (row,) = await connection.fetch(_WHOLE)
    except (asyncpg.SyntaxOrAccessError, asyncpg.FeatureNotSupportedError, asyncpg.ObjectNotInPrerequisiteStateError):
        if connection.is_in_transaction():
            await connection.execute(f"ROLLBACK TO {SAVEPOINT}")
        (row,) = await connection.fetch(_PLAIN)
    return Standing(*row)
