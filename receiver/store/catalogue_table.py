"""The copy of the catalogue in SQL, for joins: `sms.code`."""

from typing import Final

import asyncpg

from receiver.catalogue import entries, fingerprint

_CURRENT: Final = "SELECT fingerprint FROM sms_data.catalogue"
_EMPTY: Final = "DELETE FROM sms_data.code"
_FILL: Final = """
INSERT INTO sms_data.code (provider, code, status, reason, final, meaning, advice)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[])
"""
_NOTE: Final = """
INSERT INTO sms_data.catalogue (fingerprint) VALUES ($1)
ON CONFLICT (single_row) DO UPDATE SET fingerprint = excluded.fingerprint
"""
_LOCK: Final = "LOCK TABLE sms_data.code IN SHARE ROW EXCLUSIVE MODE"
"""One writer at a time. Readers are not blocked and cannot take this lock; any login could take an advisory lock."""


async def sync(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Make `sms.code` equal to this version's catalogue. Returns whether it was different."""
    if await connection.fetchval(_CURRENT) == fingerprint():
        return False
    rows = [
        (row.provider, row.code, row.status.value, row.reason and row.reason.value, row.final, row.meaning, row.advice)
        for row in entries()
    ]
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(_EMPTY)
        await connection.execute(_FILL, *zip(*rows, strict=True))
        await connection.execute(_NOTE, fingerprint())
    return True
