"""Daily partitions: made ahead, and dropped when their time is over."""

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
_DELETE_AT_ONCE: Final = 5_000

_DONE_BY_ANOTHER: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.DeadlockDetectedError,
)
"""What PostgreSQL says of a partition that is not attached any more, or that another instance is at work on."""

_OWNERS_TIME: Final = timedelta(days=1)
"""How late the owner's daily `receiver maintain` may be before the service warns."""

_ADVICE: Final = "run `receiver maintain` daily as a member of sms_owner"

log = get_logger()


class NotRetired(OperatorError):  # noqa: N818 - for the operator to see to
    """There are partitions beyond the retention, and whoever is connected may not drop them."""


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
    """Create what is missing of today's and the coming days' partitions, and drop what is older than the retention.

    Raises SchemaBehindError, NotRetired.
    """
    async with connected(url) as connection:
        await check(connection)
        created, days_left = await _prepare(connection, days_ahead)
        dropped, deleted = await _retire(connection, retention_days)
        return Done(created, dropped, deleted, days_left)


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]", days_ahead: int) -> tuple[int, int]:
    """How many partitions were created, and for how many days ahead they are there."""
    created = 0
    for ahead in range(days_ahead + 1):
        created += await connection.fetchval(sql.CREATE_PARTITIONS, today() + timedelta(days=ahead))
    return created, await _days_left(connection)


async def _retire(
    connection: "asyncpg.Connection[asyncpg.Record]", retention_days: int | None, patience: timedelta = timedelta(0)
) -> tuple[list[str], int]:
    """The partitions that were dropped, and how many states of messages were deleted.

    Needs the owner's rights. Raises NotRetired without them, if something should have been
    dropped for longer than `patience`.
    """
    if retention_days is None:
        return [], 0
    cutoff = today() - timedelta(days=retention_days)
    if not await connection.fetchval(sql.IS_OWNER):
        await _expect_retired(connection, cutoff - patience)
        return [], 0
    return await _drop(connection, cutoff), await _delete_messages(connection, cutoff)


async def _expect_retired(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> None:
    """Raise NotRetired if nobody else does it: who may drop reports is the owner, not the service (least privilege)."""
    if overdue := await connection.fetch(sql.OLD_PARTITIONS, cutoff):
        raise NotRetired(f"{len(overdue)} partitions are to be dropped, which takes a member of sms_owner")


async def _drop(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> list[str]:
    """Detach without a long lock, then drop. What an interrupted round left detached is finished too."""
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
        except _DONE_BY_ANOTHER:
            continue
        dropped.append(name)
    return dropped


async def _delete_messages(connection: "asyncpg.Connection[asyncpg.Record]", cutoff: date) -> int:
    """The states of messages whose reports are all gone, in small transactions: they change, so no day has them."""
    deleted = 0
    midnight = datetime.combine(cutoff, time.min, UTC)  # asyncpg would take a bare date for the machine's own midnight
    for statement in (sql.DELETE_OLD_MESSAGES, sql.DELETE_OLD_ENVELOPES, sql.DELETE_OLD_REPLY_KEYS):
        while True:
            count = int((await connection.execute(statement, midnight, _DELETE_AT_ONCE)).split()[-1])
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

    def __init__(self, *, days_ahead: int, retention_days: int | None) -> None:
        self._days_ahead = days_ahead
        self._retention_days = retention_days
        self._known_until: date | None = None

    @property
    def days_left(self) -> int | None:
        """Whole days ahead that have partitions, as far as the last round knew."""
        return None if self._known_until is None else max((self._known_until - today()).days, 0)

    @property
    def periodic(self) -> Periodic:
        """When the rounds run."""
        return Periodic(
            run=self.round,
            failed_event="partitions.maintenance_failed",
            interval_s=3600.0,
            retry_s=30.0,
            deadline_s=60.0,
            jitter=0.1,
        )

    async def round(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Create what is missing, and drop what is too old where this role may."""
        try:
            created, days_left = await _prepare(connection, self._days_ahead)
            # Known before the old ones are dropped: what keeps those from going says nothing about the coming days.
            self._known_until = today() + timedelta(days=days_left)
            dropped, deleted = await _retire(connection, self._retention_days, _OWNERS_TIME)
        except (NotRetired, asyncpg.InsufficientPrivilegeError) as error:
            log.warning("partitions.not_permitted", detail=str(error)[:200], advice=_ADVICE)
            return
        if created or dropped or deleted:
            log.info("partitions.maintained", created=created, dropped=dropped, deleted=deleted, days_left=days_left)


def follow_days_left(metrics: Metrics, days_left: Callable[[], int | None]) -> None:
    """Let the gauge ask at each scrape."""
    metrics.partitions_left_days.set_function(lambda: float(days_left() or 0))
