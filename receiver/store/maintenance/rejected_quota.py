"""Quota of rejected payloads, with which anybody could fill the disk: by age, and by bytes in PostgreSQL.

PostgreSQL keeps them in a ring of tables (migrations/sql/0001/rejected.sql). When the current table is full, the oldest
is truncated and becomes the current one, so that three quarters of the quota are in use. Between two checks of the
sizes an instance keeps at most a sixteenth of the quota, and drops the rest: four instances cannot exceed the quota at
any rate of payloads, nor while the ring cannot move because a backup reads it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from receiver.store.job import Job
from receiver.store.maintenance.periodic import Periodic
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_INSTANCES: Final = 4
"""So many instances may see the same free space at the same moment."""

_SHARE: Final = 1 / 16
"""Share of the quota that an instance may use between two checks. The settings ensure that a body fits into it."""

_STAYS_FREE: Final = 1 / 4
"""Share of the quota that is free after an unhindered check (the same in make_room_for_rejected)."""

_ROW_BYTES: Final = 512
"""Bytes of a row and its index entries besides body and error."""

_ROOM_BYTES: Final = 64 * 1024
"""For the row and its error, beside the largest body."""

_SLOTS: Final = 8
_MIN_PAUSE_S: Final = 1.0
_DELETE_BATCH: Final = 1_000

_MAKE_ROOM: Final = "SELECT room, dropped FROM sms_data.make_room_for_rejected($1)"
_ROOM: Final = "SELECT $1 - sms_data.rejected_bytes()"
_DELETE_OLD: Final = """
DELETE FROM sms_data.rejected_payload WHERE (rejected_id, received_at) IN (
    SELECT rejected_id, received_at FROM sms_data.rejected_payload WHERE received_at < now() - $1::interval LIMIT $2)
"""

log = get_logger()


class RejectedQuota:
    """Bytes of rejected payloads that this instance may keep until the next check of the sizes."""

    def __init__(self, metrics: Metrics, max_bytes: int, *, processes: int = 1, body_bytes: int = 0) -> None:
        """`processes` of this instance divide its share; the largest body fits into each part."""
        self.max_bytes = max_bytes
        self._metrics = metrics
        self._processes = processes
        self._most = max(int(max_bytes * _SHARE / processes), body_bytes + _ROOM_BYTES if processes > 1 else 0)
        self._left = self._most
        self._in_flight = 0
        self.check_wanted = asyncio.Event()
        """Requests an early check."""

    @contextmanager
    def admitted(self, job: Job) -> Iterator[Job]:
        """The job to write in the block: without its rejected payload if the quota is used up."""
        if job.error is None:
            yield job
            return
        size = len(job.callback.body) + len(job.error) + _ROW_BYTES
        if self._left < size:
            self.drop()
            self.check_wanted.set()
            yield job.without_rejected()
            return
        self._left -= size
        self._in_flight += size
        try:
            yield job
        except BaseException:
            self._left += size
            raise
        finally:
            self._in_flight -= size
            if self._left < self._most // 2:
                self.check_wanted.set()

    def drop(self) -> None:
        """Count a payload that is not kept because the quota is used up."""
        self.dropped(size=1)

    def dropped(self, *, size: int = 0, age: int = 0) -> None:
        """Count dropped payloads, by the bound that they exceeded."""
        self._metrics.rejected_dropped["size",].value += size
        self._metrics.rejected_dropped["age",].value += age

    def renew(self, room: int) -> None:
        """Reset after a check: `room` bytes are free for all instances; writes in flight may not be counted in it."""
        self._left = min(room // (_INSTANCES * self._processes), self._most) - self._in_flight


def periodic(quota: RejectedQuota, days: int) -> Periodic:
    """The schedule of `keep_within`: at intervals, and as soon as the quota runs out."""
    return Periodic(
        run=partial(keep_within, quota=quota, days=days),
        failed_event="rejected.maintenance_failed",
        interval_s=600.0,
        retry_s=10.0,
        deadline_s=60.0,
        least_s=_MIN_PAUSE_S,
        wake=quota.check_wanted,
    )


async def keep_within(connection: "asyncpg.Connection[asyncpg.Record]", quota: RejectedQuota, days: int) -> None:
    """One round: enforce the quota in bytes and the age of at most `days`."""
    room, size = await make_room(connection, quota.max_bytes)
    quota.renew(room)
    age = await drop_old(connection, days)
    quota.dropped(size=size, age=age)
    if size or age:
        log.warning("rejected.dropped", size_count=size, age_count=age)


async def make_room(connection: "asyncpg.Connection[asyncpg.Record]", max_bytes: int) -> tuple[int, int]:
    """Drop the oldest payloads if need be. Returns the free bytes, and the number of dropped payloads."""
    dropped = 0
    for _ in range(_SLOTS):
        try:
            ((room, some),) = await connection.fetch(_MAKE_ROOM, max_bytes)
        except asyncpg.LockNotAvailableError:  # the oldest table is being read: no more can be freed now
            return await connection.fetchval(_ROOM, max_bytes), dropped
        dropped += some
        if room >= max_bytes * _STAYS_FREE:  # else the quota was lowered, and takes several steps
            break
    return room, dropped


async def drop_old(connection: "asyncpg.Connection[asyncpg.Record]", days: int) -> int:
    """Delete payloads older than `days` in small transactions; returns their number."""
    deleted = 0
    while True:
        status = await connection.execute(_DELETE_OLD, timedelta(days=days), _DELETE_BATCH)
        deleted += (some := int(status.split()[-1]))
        if some < _DELETE_BATCH:
            return deleted
