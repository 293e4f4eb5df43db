"""Locks that a migration has to wait for: for a moment each, because writers wait behind it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from receiver.errors import OperatorError
from receiver.store.told import Told

SET_TIMEOUT: Final = "SET lock_timeout = '500ms'"
"""Half of RECEIVER_DATABASE_TIMEOUT_S, the time that a writer gives a transaction."""

_PATIENCE_S: Final = 600.0
_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 8.0
_TIMEOUT_S: Final = 10.0

_NOT_TO_BE_HAD: Final = {"55P03", "40P01"}
"""lock_not_available, deadlock_detected."""

_HOLDER: Final = """
SELECT pid, concat_ws(', ', usename, nullif(application_name, '')) AS session,
       extract(epoch FROM now() - xact_start)::integer AS seconds, ours
FROM pg_stat_activity AS a, LATERAL (
    SELECT EXISTS (
        SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
        WHERE l.pid = a.pid AND l.database = a.datid
              AND c.relnamespace IN (to_regnamespace('sms'), to_regnamespace('sms_data'))) AS ours) AS locks
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND (ours OR backend_xid IS NOT NULL)
ORDER BY ours DESC, xact_start LIMIT 1
"""
"""What others create is not seen before they commit: each transaction that has changed something may be in the way."""


class LocksNotGranted(OperatorError):
    """Another session has held a lock that a migration needs for as long as it was tried; nothing has changed."""


def is_lock_wait(error: BaseException) -> bool:
    """Whether the error says that a lock was not to be had; it may be SQLAlchemy's around asyncpg's."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) in _NOT_TO_BE_HAD


async def with_patience(
    attempt: Callable[[], Awaitable[None]], beside: "asyncpg.Connection[asyncpg.Record]", told: Told
) -> None:
    """Run it until it gets its locks, or the patience ends. It must leave nothing behind when it fails.

    `beside` is another connection, to ask what is in the way. Raises LocksNotGranted.
    """
    loop = asyncio.get_running_loop()
    gives_up, pause_s = loop.time() + _PATIENCE_S, _PAUSE_S
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not is_lock_wait(error):
                raise
            found = await in_the_way(beside)
            if loop.time() > gives_up:
                raise LocksNotGranted(
                    f"the migration got no lock within {_PATIENCE_S:.0f} s, and nothing has changed: {found}. "
                    "End that, or run `receiver migrate` again later"
                ) from error
        told.note(found)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def in_the_way(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    """The session whose transaction has read or written our tables for longest, else has changed anything at all."""
    found = await connection.fetchrow(_HOLDER, timeout=_TIMEOUT_S)
    if found is None:
        return "another session held them"
    does = "read or written these tables" if found["ours"] else "had a transaction open"
    return f"process {found['pid']} ({found['session']}) has {does} for {found['seconds']} s"
