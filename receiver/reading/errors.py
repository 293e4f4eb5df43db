"""Errors of reading, as sentences for the person who asked."""

from typing import Final

import asyncpg

from receiver.errors import OperatorError
from receiver.store.database_error import as_operator_error

_CONFLICT: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""A standby ends queries whose rows its primary has cleared away (PostgreSQL: Handling Query Conflicts)."""


_SAID: Final = "conflict with recovery"
"""Of a connection that was ended, the driver has PostgreSQL's words alone."""


class ReadError(OperatorError):
    """The question cannot be answered; the text says why and what to do."""


class ReadUnavailable(ReadError):
    """PostgreSQL is away, or does not let us read."""


class ReadTooSlow(ReadError):
    """The answer took longer than it may."""


class PoolBusy(ReadError):
    """All connections for reading are in use, and none came free in time."""


def busy(number: int) -> PoolBusy:
    """For a pool of so many connections."""
    return PoolBusy(f"all {number} connections for reading are in use: try again in a moment")


def too_slow(seconds: float) -> ReadTooSlow:
    """For a statement that was given so many seconds."""
    return ReadTooSlow(f"this takes PostgreSQL longer than {seconds:g} seconds: ask for a shorter period, or for less")


def too_long(seconds: float) -> ReadTooSlow:
    """For a stream of rows that was not read to its end within so many seconds."""
    return ReadTooSlow(f"this was not read within {seconds:g} seconds: ask for a shorter period, or in several parts")


def as_read_error(error: Exception, url: str, setting: str, timeout_s: float) -> ReadError:
    """The driver's or the network's error; one of a statement that was given `timeout_s`."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return too_slow(timeout_s)
    if isinstance(error, _CONFLICT) or isinstance(error.__cause__, _CONFLICT) or _SAID in str(error):
        return ReadUnavailable(
            f"{setting}: the standby has ended this query, as the primary is clearing away its rows: ask again, "
            "or raise max_standby_streaming_delay there"
        )
    return ReadUnavailable(str(as_operator_error(error, url, setting)))
