"""A rejected payload with a piece of its body: a body may be many megabytes."""

from typing import Final, NamedTuple
from uuid import UUID

from receiver.reading.reader import Reader
from receiver.reading.rows import FILE, Rejected, columns_of

PIECE: Final = 4_096
"""Bytes of a body that are shown at once."""

_ONE: Final = f"""
SELECT {columns_of(Rejected._fields, FILE)}, substring(body FROM $2 + 1 FOR $3) AS piece
FROM sms.rejected_payload WHERE rejected_id = $1 LIMIT 1
"""


class RejectedPiece(NamedTuple):
    """The payload, and the part of its body that was asked for."""

    payload: Rejected
    piece: bytes


async def piece_of(reader: Reader, rejected_id: UUID, at: int) -> RejectedPiece | None:
    """The payload with `PIECE` bytes of its body from `at` on; None if there is none. Raises ReadError."""
    row = await reader.fetchrow(_ONE, rejected_id, at, PIECE)
    return RejectedPiece(Rejected(*tuple(row)[:-1]), row["piece"]) if row else None
