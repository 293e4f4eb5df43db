"""Rejected payloads: finding them, reading them again, and removing them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from receiver.callback import Callback
from receiver.providers import INTAKES, url_path
from receiver.store import postgres
from receiver.store.intake import NOT_SIGNED, understand

_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 1_000

_WHERE: Final = """
 WHERE ($1::text IS NULL OR rejected_id::text LIKE $1 || '%') AND ($2::text IS NULL OR provider = $2)
   AND ($3::timestamptz IS NULL OR received_at >= $3) AND ($4::timestamptz IS NULL OR received_at < $4)
   AND ($5::boolean OR replayed_at IS NULL)
"""
_FIND: Final = f"""
SELECT rejected_id, provider, path, received_at, error, content_type, body, host(remote_addr) AS remote_addr,
       replayed_at
FROM sms_data.rejected_payload {_WHERE} ORDER BY received_at LIMIT $6
"""  # noqa: S608 - put together from our own texts
_COUNT: Final = f"SELECT count(*) FROM sms_data.rejected_payload {_WHERE}"  # noqa: S608 - see above
_MARK: Final = "UPDATE sms_data.rejected_payload SET replayed_at = now() WHERE rejected_id = $1 AND received_at = $2"
_PURGE: Final = f"""
DELETE FROM sms_data.rejected_payload WHERE (rejected_id, received_at) IN (
    SELECT rejected_id, received_at FROM sms_data.rejected_payload {_WHERE} LIMIT $6)
"""  # noqa: S608 - see above

_PATHS: Final = {url_path(path): path for path in INTAKES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rejected payloads: by the beginning of their id, by platform, by time of arrival (from, to before)."""

    id_prefix: str | None = None
    provider: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    replayed_too: bool = False

    @property
    def arguments(self) -> tuple[object, ...]:
        """In the order of the statements."""
        return self.id_prefix, self.provider, self.since, self.before, self.replayed_too


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rejected payload. `remote_addr` is an IP address as text."""

    rejected_id: UUID
    provider: str
    path: str
    received_at: datetime
    error: str
    content_type: str | None
    body: bytes
    remote_addr: str | None
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of reading a payload again: rows understood and new ones stored, or why still not."""

    rejected_id: UUID
    understood: int
    stored: int
    error: str | None


async def find(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter, limit: int) -> list[Rejected]:
    """The oldest that fit."""
    return [Rejected(**row) for row in await connection.fetch(_FIND, *wanted.arguments, limit)]


async def count(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter) -> int:
    """How many fit."""
    found: int = await connection.fetchval(_COUNT, *wanted.arguments)
    return found


async def replay(
    connection: "asyncpg.Connection[asyncpg.Record]", payloads: Sequence[Rejected], *, dry_run: bool
) -> list[Replayed]:
    """Read each again as this version understands it, with its original time of arrival.

    What is stored already is not stored twice. A payload without any fault left is marked as replayed.
    """
    return [await _replay(connection, payload, dry_run=dry_run) for payload in payloads]


async def _replay(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected, *, dry_run: bool) -> Replayed:
    callback = Callback(
        path=_PATHS.get(payload.path, payload.path),
        body=payload.body,
        content_type=payload.content_type,
        received_at=payload.received_at,
        remote_addr=payload.remote_addr,
        request_id=str(payload.rejected_id),
        # Nobody who could not sign it then can have it believed now.
        refusal=payload.error if payload.error.startswith(NOT_SIGNED) else None,
    )
    _, job = understand(callback)
    if dry_run or not job.ids:
        return Replayed(payload.rejected_id, len(job.ids), 0, job.error)
    understood = replace(job, error=None)
    try:
        receipt = await postgres.write(connection, [understood], _TIMEOUT_S)
    except postgres.PartitionMissing:
        await postgres.create_partitions(connection, [understood])
        receipt = await postgres.write(connection, [understood], _TIMEOUT_S)
    if job.error is None and not receipt.refused:
        await connection.execute(_MARK, payload.rejected_id, payload.received_at)
    return Replayed(payload.rejected_id, len(job.ids), len(receipt.stored), job.error)


async def purge(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter) -> int:
    """Delete what fits, in small transactions. How many that were."""
    deleted = 0
    while True:
        status = await connection.execute(_PURGE, *wanted.arguments, _AT_ONCE)
        deleted += (some := int(status.split()[-1]))
        if some < _AT_ONCE:
            return deleted
