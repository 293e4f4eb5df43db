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
from receiver.store.job import Job, Receipt

_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 1_000

_WHERE: Final = """
 WHERE ($1::text IS NULL OR rejected_id::text LIKE $1 || '%') AND ($2::text IS NULL OR provider = $2)
   AND ($3::timestamptz IS NULL OR received_at >= $3) AND ($4::timestamptz IS NULL OR received_at < $4)
   AND ($5::text IS NULL OR strpos(lower(error), lower($5)) > 0)
   AND ($6::boolean OR replayed_at IS NULL)
"""
_FIND: Final = f"""
SELECT rejected_id, provider, path, received_at, error, content_type, octet_length(body) AS size,
       host(remote_addr) AS remote_addr, replayed_at, correlation
FROM sms_data.rejected_payload {_WHERE} ORDER BY received_at, rejected_id LIMIT $7
"""  # noqa: S608 - put together from our own texts
_BODY: Final = "SELECT body FROM sms_data.rejected_payload WHERE rejected_id = $1 AND received_at = $2"
_MARK: Final = "UPDATE sms_data.rejected_payload SET replayed_at = now() WHERE rejected_id = $1 AND received_at = $2"
_COUNT: Final = f"SELECT count(*) FROM sms_data.rejected_payload {_WHERE}"  # noqa: S608 - see above
_OLDEST_SPARED: Final = f"""
SELECT min(received_at)
FROM (SELECT received_at,
             sum(octet_length(body)) OVER (ORDER BY received_at DESC, rejected_id) AS with_younger
      FROM sms_data.rejected_payload {_WHERE}) AS payload
WHERE with_younger <= $7
"""  # noqa: S608 - see above
_PURGE: Final = f"""
DELETE FROM sms_data.rejected_payload WHERE (rejected_id, received_at) IN (
    SELECT rejected_id, received_at FROM sms_data.rejected_payload {_WHERE} LIMIT $7)
"""  # noqa: S608 - see above

_PATHS: Final = {url_path(path): path for path in INTAKES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rejected payloads: by the beginning of their id, by platform, by time of arrival, by error.

    `since` is the first moment, `before` the first one after; `error` is a part of the text, in any case.
    """

    id_prefix: str | None = None
    provider: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    error: str | None = None
    replayed_too: bool = False

    @property
    def arguments(self) -> tuple[object, ...]:
        """In the order of the statements."""
        return self.id_prefix, self.provider, self.since, self.before, self.error, self.replayed_too


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rejected payload, but for its body of `size` bytes. `remote_addr` is an IP address as text."""

    rejected_id: UUID
    provider: str
    path: str
    received_at: datetime
    error: str
    content_type: str | None
    size: int
    remote_addr: str | None
    replayed_at: datetime | None
    correlation: str | None


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


async def body_of(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected) -> bytes | None:
    """The bytes as they came; None if they have been dropped meanwhile."""
    body: bytes | None = await connection.fetchval(_BODY, payload.rejected_id, payload.received_at)
    return body


async def replay(
    connection: "asyncpg.Connection[asyncpg.Record]", payloads: Sequence[Rejected], *, dry_run: bool
) -> list[Replayed]:
    """Read each again as this version understands it, with its original time of arrival.

    What is stored already is not stored twice. A payload without any fault left is marked as replayed. One body is in
    memory at a time.
    """
    return [await _replay(connection, payload, dry_run=dry_run) for payload in payloads]


async def _replay(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected, *, dry_run: bool) -> Replayed:
    body = await body_of(connection, payload)
    if body is None:
        return Replayed(payload.rejected_id, 0, 0, "it has been dropped meanwhile")
    callback = Callback(
        path=_PATHS.get(payload.path, payload.path),
        body=body,
        content_type=payload.content_type,
        received_at=payload.received_at,
        remote_addr=payload.remote_addr,
        request_id=str(payload.rejected_id),
        correlation=payload.correlation,
        # Nobody who could not sign it then can have it believed now.
        refusal=payload.error if payload.error.startswith(NOT_SIGNED) else None,
    )
    _, job = await understand(callback)
    if dry_run or not job.ids:
        return Replayed(payload.rejected_id, len(job.ids), 0, job.error)
    understood = replace(job, error=None)
    try:
        receipt = await _write(connection, understood)
    except postgres.POISON as error:
        # The type alone: its text may quote the body. The payloads behind it have their turn.
        return Replayed(payload.rejected_id, len(job.ids), 0, f"the database refuses it ({type(error).__name__})")
    why = job.error or "; ".join(sorted(set(receipt.refused.values()))) or None
    if why is None:
        await connection.execute(_MARK, payload.rejected_id, payload.received_at)
    return Replayed(payload.rejected_id, len(job.ids), len(receipt.stored), why)


async def _write(connection: "asyncpg.Connection[asyncpg.Record]", job: Job) -> Receipt:
    session = postgres.Session(connection)
    try:
        return await postgres.write(session, [job], _TIMEOUT_S)
    except postgres.PartitionMissing:
        await postgres.create_partitions(session, [job])
        return await postgres.write(session, [job], _TIMEOUT_S)


async def count(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter) -> int:
    """How many fit."""
    found: int = await connection.fetchval(_COUNT, *wanted.arguments)
    return found


async def but_for(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter, spare_bytes: int) -> Filter:
    """The filter without the youngest payloads that fit, up to so many bytes of bodies."""
    oldest_spared = await connection.fetchval(_OLDEST_SPARED, *wanted.arguments, spare_bytes)
    return wanted if oldest_spared is None else replace(wanted, before=oldest_spared)


async def purge(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter) -> int:
    """Delete what fits, in small transactions. How many that were."""
    deleted = 0
    while True:
        status = await connection.execute(_PURGE, *wanted.arguments, _AT_ONCE)
        deleted += (some := int(status.split()[-1]))
        if some < _AT_ONCE:
            return deleted
