"""Rejected payloads: queries, and deletion."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from receiver.store.told import UNTOLD, Told

_DELETE_BATCH: Final = 1_000

_WHERE: Final = """
 WHERE ($1::text IS NULL OR rejected_id::text LIKE $1 || '%') AND ($2::text IS NULL OR provider = $2)
   AND ($3::timestamptz IS NULL OR received_at >= $3) AND ($4::timestamptz IS NULL OR received_at < $4)
   AND ($5::text IS NULL OR strpos(lower(error), lower($5)) > 0)
   AND ($6::boolean OR replayed_at IS NULL)
   AND ($7::uuid IS NULL OR rejected_id = $7)
"""
_FIND: Final = f"""
SELECT rejected_id, provider, path, received_at, error, content_type, octet_length(body) AS size,
       host(remote_addr) AS remote_addr, replayed_at, correlation
FROM sms_data.rejected_payload {_WHERE} ORDER BY received_at, rejected_id LIMIT $8
"""  # noqa: S608 - put together from our own texts
_BODY: Final = "SELECT body FROM sms_data.rejected_payload WHERE rejected_id = $1 AND received_at = $2"
_MARK: Final = "UPDATE sms_data.rejected_payload SET replayed_at = now() WHERE rejected_id = $1 AND received_at = $2"
_COUNT: Final = f"SELECT count(*) FROM sms_data.rejected_payload {_WHERE}"  # noqa: S608 - see above
_OLDEST_SPARED: Final = f"""
SELECT min(received_at)
FROM (SELECT received_at,
             sum(octet_length(body)) OVER (ORDER BY received_at DESC, rejected_id) AS with_younger
      FROM sms_data.rejected_payload {_WHERE}) AS payload
WHERE with_younger <= $8
"""  # noqa: S608 - see above
_PURGE: Final = f"""
DELETE FROM sms_data.rejected_payload WHERE (rejected_id, received_at) IN (
    SELECT rejected_id, received_at FROM sms_data.rejected_payload {_WHERE} LIMIT $8)
"""  # noqa: S608 - see above


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Criteria for rejected payloads: the id or its prefix, platform, time of arrival, error.

    `since` is inclusive, `before` exclusive; `error` is a substring, upper or lower case.
    """

    id_prefix: str | None = None
    provider: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    error: str | None = None
    replayed_too: bool = False
    rejected_id: UUID | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """$1 to $7 of the statements."""
        named = self.id_prefix, self.provider, self.since, self.before, self.error, self.replayed_too
        return *named, self.rejected_id


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rejected payload without its body of `size` bytes. `remote_addr` is an IP address as text."""

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


async def find(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter, limit: int) -> list[Rejected]:
    """The oldest matching payloads, at most `limit`."""
    return [Rejected(**row) for row in await connection.fetch(_FIND, *wanted.arguments, limit)]


async def body_of(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected) -> bytes | None:
    """The body, byte for byte; None if it has been dropped meanwhile."""
    body: bytes | None = await connection.fetchval(_BODY, payload.rejected_id, payload.received_at)
    return body


async def mark_replayed(connection: "asyncpg.Connection[asyncpg.Record]", payload: Rejected) -> None:
    """Mark a payload that was parsed completely."""
    await connection.execute(_MARK, payload.rejected_id, payload.received_at)


async def count(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter) -> int:
    """Number of matching payloads."""
    found: int = await connection.fetchval(_COUNT, *wanted.arguments)
    return found


async def sparing(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter, spare_bytes: int) -> Filter:
    """The filter narrowed to spare the youngest matching payloads, up to `spare_bytes` of bodies."""
    oldest_spared = await connection.fetchval(_OLDEST_SPARED, *wanted.arguments, spare_bytes)
    return wanted if oldest_spared is None else replace(wanted, before=oldest_spared)


async def purge(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Filter, told: Told = UNTOLD) -> int:
    """Delete matching payloads in small transactions; returns their number."""
    deleted = 0
    while True:
        status = await connection.execute(_PURGE, *wanted.arguments, _DELETE_BATCH)
        deleted += (number := int(status.split()[-1]))
        told.advance(number)
        if number < _DELETE_BATCH:
            return deleted
