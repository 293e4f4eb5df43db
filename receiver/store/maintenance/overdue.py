"""Figures for overdue messages: each platform's reporting window, and the recent lag of its reports."""

from collections.abc import Mapping
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
WITH measured AS (
    SELECT provider, coalesce(country, '') AS country, count(*) AS messages,
           percentile_cont(0.99) WITHIN GROUP (
               ORDER BY extract(epoch FROM coalesce(last_received_at, first_received_at) - submitted_at)) AS p99_s
    FROM sms_data.message
    WHERE first_received_at > now() - $1::interval AND submitted_at IS NOT NULL AND awaited_since IS NULL
      AND CASE WHEN parts IS NULL THEN part <> -1 ELSE parts - '-1' <> '{}' END
    GROUP BY 1, 2 HAVING count(*) >= $2
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


async def refresh(connection: "asyncpg.Connection[asyncpg.Record]", windows_h: Mapping[str, int]) -> None:
    """Update the figures that `sms.overdue_message` compares with. `windows_h`: hours by platform."""
    await connection.execute(_SET_WINDOWS, list(windows_h), list(windows_h.values()))
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
