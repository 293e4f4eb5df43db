"""The counts by the hour: deltas are folded into them all the time, and they can be counted anew."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from receiver.store.maintenance.periodic import Periodic

_FOLD: Final = "SELECT sms_data.fold_counts($1)"
_MOST: Final = 20_000
"""Deltas of one transaction: about a second where they are of a month's hours, in a few hours far less."""

_RECOUNT: Final = "SELECT sms_data.recount()"
_THIN: Final = "SELECT sms_data.thin_counts($1, $2, $3)"
_THINNED: Final = timedelta(days=7)
"""So many days of counts are looked through, should maintenance have missed some."""
_MOST_CODES: Final = 1_000
"""Of a platform in an hour: an honest one uses some dozens."""

_TABLES: Final = {
    "message_count": ("message_day_count", "code_day_count"),
    "delivery_time_count": ("delivery_time_day_count",),
    "report_lag_count": (),
}
"""The counts by the hour, and those by the day that are made of them."""
_DELETE_OLD: Final = "DELETE FROM sms_data.{table} WHERE hour < $1"
_DELETE_OLD_DAYS: Final = "DELETE FROM sms_data.{table} WHERE day < $1"
"""Triggers have done so already; on Citus there are none."""
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '2s'"
_COUNTS_ONLY: Final = "UPDATE sms_data.counts_only SET before = $1 WHERE before < $1"


async def fold(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Move the deltas into the counts, unless another instance is doing it."""
    while await connection.fetchval(_FOLD, _MOST) >= _MOST:
        pass


def periodic() -> Periodic:
    """The schedule of `fold`: the views read what is not folded too, at a microsecond a row."""
    return Periodic(
        run=fold, failed_event="counts.fold_failed", interval_s=15.0, retry_s=15.0, deadline_s=60.0, jitter=0.2
    )


async def recount(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Correct the counts of all hours from which no message is gone; returns how many were wrong.

    Needs the owner's rights.
    """
    wrong: int = await connection.fetchval(_RECOUNT)
    return wrong


async def without_messages(connection: "asyncpg.Connection[asyncpg.Record]", before: datetime) -> None:
    """Note that messages and submissions that arrived before are being deleted, so that no recount misses them."""
    await connection.execute(_COUNTS_ONLY, before)


async def thin(connection: "asyncpg.Connection[asyncpg.Record]", before: datetime) -> None:
    """Bound the codes of each hour whose messages are gone, unless the counts are locked. Needs the owner's rights."""
    with suppress(asyncpg.LockNotAvailableError):
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(_THIN, before - _THINNED, before, _MOST_CODES)


async def drop_old(connection: "asyncpg.Connection[asyncpg.Record]", before: datetime) -> None:
    """Delete the counts of the hours before a midnight; those of a locked table go in a later round.

    Needs the owner's rights.
    A login that may fold can hold such a lock, which must not keep the rest of the maintenance from its work.
    """
    await without_messages(connection, before)
    for table, by_day in _TABLES.items():
        with suppress(asyncpg.LockNotAvailableError):
            async with connection.transaction():
                await connection.execute(_LOCK_TIMEOUT)
                await connection.execute(_DELETE_OLD.format(table=table), before)
                for of_days in by_day:
                    await connection.execute(_DELETE_OLD_DAYS.format(table=of_days), before)
