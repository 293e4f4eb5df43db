"""How far what is read is behind what was answered: a standby replays what it receives, and may receive nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

LATE_S: Final = 60.0
"""From here on a standby is late: pages and `receiver check` warn."""

_AGAIN_S: Final = 0.3
"""After a quiet hour the last change is an hour old, although the next one is being replayed already."""

_ASK: Final = """
SELECT pg_is_in_recovery() AS standby, EXISTS (SELECT FROM pg_stat_wal_receiver) AS receives,
       pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::double precision AS age_s
"""
"""Every login may ask. The process that receives ends with the connection to the primary."""

Fetch = Callable[[str], Awaitable[Sequence[asyncpg.Record]]]


@dataclass(frozen=True, slots=True)
class Behind:
    """A standby's delay. Where it `receives` nothing, nobody knows more than the age of the last change, if that."""

    receives: bool
    seconds: float | None

    @property
    def is_late(self) -> bool:
        """Whether what it shows may be old."""
        return not self.receives or self.seconds is None or self.seconds >= LATE_S


async def behind(fetch: Fetch) -> Behind | None:
    """That of the server that is asked; None for a primary."""
    (first,) = await fetch(_ASK)
    found = _behind(first, first["received"])
    if found is None or not found.receives or not found.seconds:
        return found
    await asyncio.sleep(_AGAIN_S)
    (second,) = await fetch(_ASK)
    return _behind(second, first["received"])


def _behind(row: Any, received: int | None) -> Behind | None:  # noqa: ANN401 - a row of _ASK
    if not row["standby"]:
        return None
    if row["receives"] and received is not None and row["replayed"] is not None and row["replayed"] >= received:
        return Behind(receives=True, seconds=0.0)
    return Behind(receives=row["receives"], seconds=row["age_s"])
