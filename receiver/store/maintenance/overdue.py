"""Figures for overdue messages: each platform's reporting window, and the recent lag of its reports."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from receiver.store.maintenance.periodic import Periodic

_SET_WINDOWS: Final = """
INSERT INTO sms_data.reporting_window (provider, hours)
SELECT * FROM unnest($1::text[], $2::integer[])
ON CONFLICT (provider) DO UPDATE SET hours = excluded.hours WHERE reporting_window.hours <> excluded.hours
"""

_OF_LATE: Final = timedelta(days=7)
_MIN_MESSAGES: Final = 100
"""A 99th percentile needs at least so many."""

_LEAST_LAG_S: Final = 60.0
"""Lower bound of the lag: a message that is a few seconds late is not worth reporting."""

_MEASURE_LAG: Final = """
WITH step AS (
    SELECT provider, country, bucket, sum(messages) AS messages
    FROM sms_data.report_lag_counted
    WHERE hour > now() - $1::interval
    GROUP BY 1, 2, 3 HAVING sum(messages) > 0
),
ranked AS (
    SELECT step.*, sum(messages) OVER (PARTITION BY provider, country ORDER BY bucket) AS until_here,
           sum(messages) OVER (PARTITION BY provider, country) AS total
    FROM step
),
measured AS (
    SELECT provider, country, max(total)::bigint AS messages, power(1.1::double precision, min(bucket)) AS p99_s
    FROM ranked WHERE total >= $2 AND until_here >= 0.99 * total
    GROUP BY 1, 2
),
gone AS (
    DELETE FROM sms_data.reporting_lag AS known
    WHERE (provider, country) NOT IN (SELECT provider, country FROM measured)
)
INSERT INTO sms_data.reporting_lag (provider, country, p99_s, messages, computed_at)
SELECT provider, country, greatest(p99_s, $3), messages, now() FROM measured
ON CONFLICT (provider, country) DO UPDATE
    SET p99_s = excluded.p99_s, messages = excluded.messages, computed_at = excluded.computed_at
"""
"""The 99th percentile is the upper end of its bucket, at most a tenth too long."""

_ALONE: Final = "LOCK TABLE sms_data.reporting_lag IN SHARE ROW EXCLUSIVE MODE NOWAIT"


async def refresh(connection: "asyncpg.Connection[asyncpg.Record]", windows_h: Mapping[str, int]) -> None:
    """Update the figures that `sms.overdue_message` compares with. `windows_h`: hours by platform.

    While another instance does it, this one does nothing.
    """
    await connection.execute(_SET_WINDOWS, list(windows_h), list(windows_h.values()))
    with suppress(asyncpg.LockNotAvailableError):
        async with connection.transaction():
            await connection.execute(_ALONE)
            await connection.execute(_MEASURE_LAG, _OF_LATE, _MIN_MESSAGES, _LEAST_LAG_S)


def periodic(windows_h: Mapping[str, int]) -> Periodic:
    """The schedule of `refresh`."""
    return Periodic(
        run=partial(refresh, windows_h=windows_h),
        failed_event="reporting.refresh_failed",
        interval_s=600.0,
        retry_s=30.0,
        deadline_s=120.0,
    )
