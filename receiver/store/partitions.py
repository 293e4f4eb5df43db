"""Daily partitions: made ahead, and dropped when their time is over."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from receiver.logs import get_logger
from receiver.metrics import Metrics
from receiver.store import sql
from receiver.store.migrate import connect

_INTERVAL_S: Final = 3600.0
_RETRY_S: Final = 30.0
_DEADLINE_S: Final = 60.0
_DROP_LOCK_TIMEOUT: Final = "2s"
_DELETE_AT_ONCE: Final = 5_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """What one round of maintenance did."""

    created: int
    dropped: list[str]
    deleted_messages: int
    days_left: int


def today() -> date:
    """The day of the partition that is written to now."""
    return datetime.now(UTC).date()


async def maintain(url: str, *, days_ahead: int, retention_days: int | None) -> Done:
    """Create what is missing of today's and the coming days' partitions, and drop what is older than the retention."""
    connection = await connect(url)
    try:
        created = 0
        for ahead in range(days_ahead + 1):
            created += await connection.fetchval(sql.CREATE_PARTITIONS, today() + timedelta(days=ahead))
        dropped: list[str] = []
        deleted = 0
        if retention_days is not None:
            cutoff = today() - timedelta(days=retention_days)
            dropped = await _drop(connection, cutoff)
            deleted = await _delete_messages(connection, cutoff)
        return Done(created, dropped, deleted, await _days_left(connection))
    finally:
        await connection.close(timeout=_RETRY_S)


async def _drop(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> list[str]:
    """Detach without a long lock, then drop. What an interrupted round left detached is finished too."""
    dropped = []
    await connection.execute(sql.SET_LOCK_TIMEOUT, _DROP_LOCK_TIMEOUT)
    for row in await connection.fetch(sql.OLD_PARTITIONS, cutoff):
        parent, name = row["parent"], row["name"]
        if row["attached"]:
            finish = "FINALIZE" if row["detaching"] else "CONCURRENTLY"
            await connection.execute(f'ALTER TABLE sms_data."{parent}" DETACH PARTITION sms_data."{name}" {finish}')
        await connection.execute(f'DROP TABLE sms_data."{name}"')
        dropped.append(name)
    return dropped


async def _delete_messages(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> int:
    """The states of messages whose reports are all gone, in small transactions: they change, so no day has them."""
    deleted = 0
    for statement in (sql.DELETE_OLD_MESSAGES, sql.DELETE_OLD_REPLY_KEYS):
        while True:
            count = int((await connection.execute(statement, cutoff, _DELETE_AT_ONCE)).split()[-1])
            deleted += count
            if count < _DELETE_AT_ONCE:
                break
    return deleted


async def _days_left(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """For how many days after today there is a partition, without a gap."""
    days: set[date] = {row["day"] for row in await connection.fetch(sql.COMPLETE_DAYS)}
    left = 0
    while today() + timedelta(days=left + 1) in days:
        left += 1
    return left if today() in days else 0


class Maintenance:
    """The service's own rounds, hourly. `days_left` is None until the first has succeeded."""

    def __init__(self, url: str, metrics: Metrics, *, days_ahead: int, retention_days: int | None) -> None:
        self._url = url
        self._metrics = metrics
        self._days_ahead = days_ahead
        self._retention_days = retention_days
        self._known_until: date | None = None

    @property
    def days_left(self) -> int | None:
        """Whole days ahead that have partitions, as far as the last round knew."""
        return None if self._known_until is None else max((self._known_until - today()).days, 0)

    async def run(self) -> None:
        """Keep partitions ready, for ever; cancel to stop."""
        while True:
            pause = await self._round()
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - instances should not all come at once

    async def _round(self) -> float:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                done = await maintain(self._url, days_ahead=self._days_ahead, retention_days=self._retention_days)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("partitions.maintenance_failed", error=type(error).__name__, detail=str(error)[:200])
            return _RETRY_S
        self._known_until = today() + timedelta(days=done.days_left)
        if done.created or done.dropped:
            log.info("partitions.maintained", created=done.created, dropped=done.dropped, days_left=done.days_left)
        return _INTERVAL_S


def follow_days_left(metrics: Metrics, days_left: Callable[[], int | None]) -> None:
    """Let the gauge ask at each scrape."""
    metrics.partitions_left_days.set_function(lambda: float(days_left() or 0))
