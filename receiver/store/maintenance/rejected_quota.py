"""Bounds on rejected payloads, with which anybody could fill the disk: by age, and by bytes in PostgreSQL.

PostgreSQL keeps them in a ring of tables (migrations/sql/0003_rejected.sql). When the one that is written to is full,
the oldest is emptied and written to next, so that three quarters of the bound are in use. Between two looks at the
sizes an instance keeps a sixteenth more at most, and what goes beyond is not kept: four instances cannot pass the
bound, however fast the payloads come. Nor can they where the ring does not move, because a backup reads it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from receiver.store.job import Job
from receiver.store.maintenance.periodic import Periodic
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics

_INSTANCES: Final = 4
"""So many may look at the same free room at the same moment."""

_SHARE: Final = 1 / 16
"""Part of the bound that an instance may use between two looks. The settings see to it that a body fits into it."""

_STAYS_FREE: Final = 1 / 4
"""Part of the bound that is free after a look where nothing is in the way (the same in make_room_for_rejected)."""

_ROW_BYTES: Final = 512
"""What a row and its index entries take beside the body and the error."""

_SLOTS: Final = 8
_LEAST_PAUSE_S: Final = 1.0
_DELETE_AT_ONCE: Final = 1_000

_MAKE_ROOM: Final = "SELECT room, dropped FROM sms_data.make_room_for_rejected($1)"
_ROOM: Final = "SELECT $1 - sms_data.rejected_bytes()"
_DELETE_OLD: Final = """
DELETE FROM sms_data.rejected_payload WHERE (rejected_id, received_at) IN (
    SELECT rejected_id, received_at FROM sms_data.rejected_payload WHERE received_at < now() - $1::interval LIMIT $2)
"""

log = get_logger()


class RejectedQuota:
    """How many bytes of rejected payloads this instance may keep until somebody has looked at the sizes again."""

    def __init__(self, metrics: Metrics, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._metrics = metrics
        self._most = int(max_bytes * _SHARE)
        self._left = self._most
        self._under_way = 0
        self.wanted = asyncio.Event()
        """That somebody looks soon."""

    @contextmanager
    def admitted(self, job: Job) -> Iterator[Job]:
        """The job as it may be written in the block: without what is rejected in it where there is no room for that."""
        if job.error is None:
            yield job
            return
        size = len(job.callback.body) + len(job.error) + _ROW_BYTES
        if self._left < size:
            self.drop()
            self.wanted.set()
            yield replace(job, error=None)
            return
        self._left -= size
        self._under_way += size
        try:
            yield job
        except BaseException:
            self._left += size
            raise
        finally:
            self._under_way -= size
            if self._left < self._most // 2:
                self.wanted.set()

    def drop(self) -> None:
        """Count one that is not kept for want of room."""
        self.dropped(size=1)

    def dropped(self, *, size: int = 0, age: int = 0) -> None:
        """Count payloads that are gone, by the bound that they went for."""
        self._metrics.rejected_dropped["size",].inc(size)
        self._metrics.rejected_dropped["age",].inc(age)

    def renew(self, room: int) -> None:
        """After a look: `room` bytes are free, for all instances. What is being written may not be among them yet."""
        self._left = min(room // _INSTANCES, self._most) - self._under_way


def periodic(quota: RejectedQuota, days: int) -> Periodic:
    """The service's own rounds: at intervals, and as soon as the quota runs out."""
    return Periodic(
        run=partial(keep_within, quota=quota, days=days),
        failed_event="rejected.maintenance_failed",
        interval_s=600.0,
        retry_s=10.0,
        deadline_s=60.0,
        least_s=_LEAST_PAUSE_S,
        wake=quota.wanted,
    )


async def keep_within(connection: "asyncpg.Connection[asyncpg.Record]", quota: RejectedQuota, days: int) -> None:
    """One round: the bytes of the quota, and no payload older than `days`."""
    room, size = await make_room(connection, quota.max_bytes)
    quota.renew(room)
    age = await drop_old(connection, days)
    quota.dropped(size=size, age=age)
    if size or age:
        log.warning("rejected.dropped", size_count=size, age_count=age)


async def make_room(connection: "asyncpg.Connection[asyncpg.Record]", max_bytes: int) -> tuple[int, int]:
    """Bytes that are free now, and how many payloads were dropped for it, the oldest first."""
    dropped = 0
    for _ in range(_SLOTS):
        try:
            ((room, some),) = await connection.fetch(_MAKE_ROOM, max_bytes)
        except asyncpg.LockNotAvailableError:  # somebody reads the oldest: there is what room there is
            return await connection.fetchval(_ROOM, max_bytes), dropped
        dropped += some
        if room >= max_bytes * _STAYS_FREE:  # else the bound was lowered: one step is not enough
            break
    return room, dropped


async def drop_old(connection: "asyncpg.Connection[asyncpg.Record]", days: int) -> int:
    """How many were older, in small transactions."""
    deleted = 0
    while True:
        status = await connection.execute(_DELETE_OLD, timedelta(days=days), _DELETE_AT_ONCE)
        deleted += (some := int(status.split()[-1]))
        if some < _DELETE_AT_ONCE:
            return deleted
