"""The service's and the owner's rounds over daily partitions: created ahead, and dropped after the retention."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from receiver.errors import OperatorError
from receiver.store import sql
from receiver.store.maintenance import counts, retention
from receiver.store.maintenance.periodic import Periodic, connected
from receiver.store.maintenance.retention import Retired
from receiver.store.racing import Refusal
from receiver.store.schema import check, connect
from receiver.store.told import UNTOLD, Told
from receiver.store.watching import Backend, watched
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

COUNTS_DAYS: Final = 800
"""Days that the counts by the hour are kept, unless a setting says otherwise."""

_OWNER_GRACE: Final = timedelta(days=1)
"""The owner's daily `receiver maintain` may be late by this much before the service warns."""

_CREATION_DEADLINE_S: Final = 60.0

_ADVICE: Final = "run `receiver maintain` daily as a member of sms_owner"

log = get_logger()


class NotRetired(OperatorError):
    """There are partitions beyond the retention, and the current user may not drop them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} partitions are to be dropped, which takes a member of sms_owner")
        self.names = names


@dataclass(frozen=True, slots=True)
class MaintenanceResult:
    """Result of one round of maintenance."""

    created: int
    dropped: list[str]
    deleted_messages: int
    days_left: int
    left: list[str]
    """Partitions beyond the retention that are still there, because they are being read."""


def today() -> date:
    """The current day in UTC, as partitions have it."""
    return datetime.now(UTC).date()


async def maintain(
    url: str,
    *,
    days_ahead: int,
    retention_days: int | None,
    counts_days: int = COUNTS_DAYS,
    patience_s: float = 0.0,
    told: Told = UNTOLD,
    refused: Refusal | None = None,
) -> MaintenanceResult:
    """Create today's and the coming days' missing partitions, and drop those older than the retention.

    Tries for `patience_s` to drop what is being read. Raises SchemaBehindError, NotRetired.
    """
    async with connected(url, refused) as connection:
        await check(connection)
        backend = Backend("maintaining", connection.get_server_pid())
        async with watched(lambda: connect(url), backend, told):
            created, days_left = await _create(connection, days_ahead, told)
            gone = await _retire(connection, retention_days, counts_days, patience_s, told=told)
        return MaintenanceResult(created, gone.dropped, gone.deleted, days_left, gone.left)


async def _create(
    connection: "asyncpg.Connection[asyncpg.Record]", days_ahead: int, told: Told = UNTOLD
) -> tuple[int, int]:
    """Create missing partitions. Returns their number, and the days ahead that have partitions now."""
    created = 0
    told.stage("days with partitions", days_ahead + 1)
    for ahead in range(days_ahead + 1):
        created += await connection.fetchval(sql.CREATE_PARTITIONS, today() + timedelta(days=ahead))
        told.advance()
    return created, await whole_days_left(connection)


async def _retire(
    connection: "asyncpg.Connection[asyncpg.Record]",
    retention_days: int | None,
    counts_days: int,
    patience_s: float,
    grace: timedelta = timedelta(0),
    told: Told = UNTOLD,
) -> Retired:
    """Drop and delete what is beyond the retention.

    Needs the owner's rights. Raises NotRetired without them, if a partition is overdue by more than `grace`.
    """
    owner = await connection.fetchval(sql.IS_OWNER)
    if owner:
        await retention.drop_old_probes(connection)
        await counts.drop_old(connection, retention.midnight_of(today() - timedelta(days=counts_days)))
    if retention_days is None:
        return Retired()
    cutoff = today() - timedelta(days=retention_days)
    if owner:
        return await retention.retire(connection, cutoff, patience_s, told)
    # Only the owner may drop them, and not the service (least privilege).
    if overdue := await connection.fetch(sql.OLD_PARTITIONS, cutoff - grace):
        raise NotRetired([row["name"] for row in overdue])
    return Retired()


async def whole_days_left(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Number of days after today that have partitions, without a gap."""
    days: set[date] = {row["day"] for row in await connection.fetch(sql.COMPLETE_DAYS)}
    left = 0
    while today() + timedelta(days=left + 1) in days:
        left += 1
    return left if today() in days else 0


class Maintenance:
    """The service's own hourly rounds. `days_left` is None until the first has succeeded."""

    def __init__(self, *, days_ahead: int, retention_days: int | None, counts_days: int = COUNTS_DAYS) -> None:
        self._days_ahead = days_ahead
        self._counts_days = counts_days
        self._retention_days = retention_days
        self._known_until: date | None = None
        self.overdue = 0
        """Partitions that should have been dropped, as of the last round."""

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
            deadline_s=600.0,
            jitter=0.1,
        )

    async def round(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Create missing partitions, and drop old ones if this role may.

        Raises LockNotAvailableError once everything else is done, if a partition is being read: to be tried again soon.
        """
        try:
            async with asyncio.timeout(_CREATION_DEADLINE_S):
                created, days_left = await _create(connection, self._days_ahead)
            # Set before old partitions are dropped: a failure there says nothing about the coming days.
            self._known_until = today() + timedelta(days=days_left)
            gone = await _retire(connection, self._retention_days, self._counts_days, 0.0, _OWNER_GRACE)
        except (NotRetired, asyncpg.InsufficientPrivilegeError) as error:
            self.overdue = len(error.names) if isinstance(error, NotRetired) else 0
            log.warning("partitions.not_permitted", detail=str(error)[:200], advice=_ADVICE)
            return
        self.overdue = len(gone.left)
        if created or gone.dropped or gone.deleted:
            log.info(
                "partitions.maintained",
                created=created,
                dropped=gone.dropped,
                deleted=gone.deleted,
                days_left=days_left,
            )
        if gone.left:
            raise asyncpg.LockNotAvailableError(still_read(gone.left))


def still_read(names: Sequence[str]) -> str:
    """A sentence about partitions that could not be dropped."""
    others = f" and {len(names) - 1} others" if names[1:] else ""
    return f"{names[0]}{others} cannot be dropped while a query reads the table"


def set_days_left_from(metrics: Metrics, days_left: Callable[[], int | None]) -> None:
    """Let the gauge call `days_left` at each scrape; None counts as 0."""
    metrics.partitions_left_days.set_function(lambda: float(days_left() or 0))
