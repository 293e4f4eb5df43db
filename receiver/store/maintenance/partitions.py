"""Daily partitions: created ahead, and dropped after the retention."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

from receiver.errors import OperatorError
from receiver.store import sql
from receiver.store.maintenance.periodic import Periodic, connected
from receiver.store.schema import check
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_DROP_LOCK_TIMEOUT: Final = "2s"
_DELETE_BATCH: Final = 5_000

_CONCURRENTLY_DETACHED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.DeadlockDetectedError,
)
"""Errors for a partition that another instance has detached or is detaching."""

_OWNER_GRACE: Final = timedelta(days=1)
"""The owner's daily `receiver maintain` may be late by this much before the service warns."""

_ADVICE: Final = "run `receiver maintain` daily as a member of sms_owner"

log = get_logger()


class NotRetired(OperatorError):
    """There are partitions beyond the retention, and the current user may not drop them."""


@dataclass(frozen=True, slots=True)
class MaintenanceResult:
    """Result of one round of maintenance."""

    created: int
    dropped: list[str]
    deleted_messages: int
    days_left: int


def today() -> date:
    """The current day in UTC, as partitions have it."""
    return datetime.now(UTC).date()


async def maintain(url: str, *, days_ahead: int, retention_days: int | None) -> MaintenanceResult:
    """Create today's and the coming days' missing partitions, and drop those older than the retention.

    Raises SchemaBehindError, NotRetired.
    """
    async with connected(url) as connection:
        await check(connection)
        created, days_left = await _create(connection, days_ahead)
        dropped, deleted = await _retire(connection, retention_days)
        return MaintenanceResult(created, dropped, deleted, days_left)


async def _create(connection: "asyncpg.Connection[asyncpg.Record]", days_ahead: int) -> tuple[int, int]:
    """Create missing partitions. Returns their number, and the days ahead that have partitions now."""
    created = 0
    for ahead in range(days_ahead + 1):
        created += await connection.fetchval(sql.CREATE_PARTITIONS, today() + timedelta(days=ahead))
    return created, await _days_left(connection)


async def _retire(
    connection: "asyncpg.Connection[asyncpg.Record]", retention_days: int | None, grace: timedelta = timedelta(0)
) -> tuple[list[str], int]:
    """Drop old partitions and delete old messages' states. Returns the partitions' names and the number of states.

    Needs the owner's rights. Raises NotRetired without them, if a partition is overdue by more than `grace`.
    """
    if retention_days is None:
        return [], 0
    cutoff = today() - timedelta(days=retention_days)
    if not await connection.fetchval(sql.IS_OWNER):
        await _check_retired(connection, cutoff - grace)
        return [], 0
    return await _drop(connection, cutoff), await _delete_messages(connection, cutoff)


async def _check_retired(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> None:
    """Raise NotRetired if old partitions exist: only the owner may drop them, and not the service (least privilege)."""
    if overdue := await connection.fetch(sql.OLD_PARTITIONS, cutoff):
        raise NotRetired(f"{len(overdue)} partitions are to be dropped, which takes a member of sms_owner")


async def _drop(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> list[str]:
    """Detach without a long lock, then drop; also finishes what an interrupted round left detached."""
    dropped = []
    await connection.execute(sql.SET_LOCK_TIMEOUT, _DROP_LOCK_TIMEOUT)
    for row in await connection.fetch(sql.OLD_PARTITIONS, cutoff):
        parent, name = row["parent"], row["name"]
        try:
            if row["attached"]:
                finish = "FINALIZE" if row["detaching"] else "CONCURRENTLY"
                await connection.execute(f'ALTER TABLE sms_data."{parent}" DETACH PARTITION sms_data."{name}" {finish}')
            await connection.execute(f'DROP TABLE sms_data."{name}"')
        except asyncpg.LockNotAvailableError:
            raise
        except _CONCURRENTLY_DETACHED:
            continue
        dropped.append(name)
    return dropped


async def _delete_messages(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> int:
    """Delete the states of messages without reports, in small transactions; these tables have no daily partitions."""
    deleted = 0
    midnight = datetime.combine(cutoff, time.min, UTC)  # asyncpg takes a bare date as midnight in the local time zone
    for statement in (sql.DELETE_OLD_MESSAGES, sql.DELETE_OLD_ENVELOPES, sql.DELETE_OLD_REPLY_KEYS):
        while True:
            count = int((await connection.execute(statement, midnight, _DELETE_BATCH)).split()[-1])
            deleted += count
            if count < _DELETE_BATCH:
                break
    return deleted


async def _days_left(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Number of days after today that have partitions, without a gap."""
    days: set[date] = {row["day"] for row in await connection.fetch(sql.COMPLETE_DAYS)}
    left = 0
    while today() + timedelta(days=left + 1) in days:
        left += 1
    return left if today() in days else 0


class Maintenance:
    """The service's own hourly rounds. `days_left` is None until the first has succeeded."""

    def __init__(self, *, days_ahead: int, retention_days: int | None) -> None:
        self._days_ahead = days_ahead
        self._retention_days = retention_days
        self._known_until: date | None = None

    @property
    def days_left(self) -> int | None:
        """Whole days ahead that have partitions, as of the last round."""
        return None if self._known_until is None else max((self._known_until - today()).days, 0)

    @property
    def periodic(self) -> Periodic:
        """The schedule of `round`."""
        return Periodic(
            run=self.round,
            failed_event="partitions.maintenance_failed",
            interval_s=3600.0,
            retry_s=30.0,
            deadline_s=60.0,
            jitter=0.1,
        )

    async def round(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Create missing partitions, and drop old ones if this role may."""
        try:
            created, days_left = await _create(connection, self._days_ahead)
            # Set before old partitions are dropped: a failure there says nothing about the coming days.
            self._known_until = today() + timedelta(days=days_left)
            dropped, deleted = await _retire(connection, self._retention_days, _OWNER_GRACE)
        except (NotRetired, asyncpg.InsufficientPrivilegeError) as error:
            log.warning("partitions.not_permitted", detail=str(error)[:200], advice=_ADVICE)
            return
        if created or dropped or deleted:
            log.info("partitions.maintained", created=created, dropped=dropped, deleted=deleted, days_left=days_left)


def set_days_left_from(metrics: Metrics, days_left: Callable[[], int | None]) -> None:
    """Let the gauge call `days_left` at each scrape; None counts as 0."""
    metrics.partitions_left_days.set_function(lambda: float(days_left() or 0))
