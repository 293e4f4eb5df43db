"""What the pages' and dashboards' queries cost a reader, on a month of messages and a year of counts."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import click
from support import grafana
from support.pages import asked

from bench.cluster import Cluster
from receiver.providers import PROVIDERS
from receiver.store.maintenance import counts, overdue

DAYS: Final = 30
_FILL: Final = Path(__file__).with_name("reads_fill.sql")
_LEAN: Final = (
    "ALTER TABLE sms_data.message DISABLE TRIGGER USER",
    "ALTER TABLE sms_data.message DROP CONSTRAINT message_pkey",
    "DROP INDEX sms_data.message_first_received_at, sms_data.message_awaited_since",
)
_INDEXED: Final = (
    "ALTER TABLE sms_data.message ADD PRIMARY KEY (message_id, provider, recipient_key) WITH (fillfactor = 70)",
    "CREATE INDEX message_first_received_at ON sms_data.message (first_received_at)",
    """CREATE INDEX message_awaited_since ON sms_data.message (awaited_since) INCLUDE (provider, country)
        WHERE awaited_since IS NOT NULL""",
    "ALTER TABLE sms_data.message ENABLE TRIGGER USER",
)
_COUNTS: Final = ("message", "delivery_time", "report_lag")
_COUNTED: Final = (
    "SELECT sms_data.recount()",
    *(
        f"INSERT INTO sms_data.{name}_count TABLE sms_data.{name}_delta ORDER BY 1; TRUNCATE sms_data.{name}_delta"
        for name in _COUNTS
    ),
    *(f"VACUUM (ANALYZE) sms_data.{name}_count" for name in _COUNTS),
)
_ONE_MORE_MONTH: Final = (
    """INSERT INTO sms_data.message_count
        SELECT hour - {ago}, submitted_hour - {ago}, provider, country, status, reason, code, accepted, reported,
               messages, reports, segments, fees, requests
        FROM sms_data.message_count, sms_data.counts_only WHERE hour >= before""",
    """INSERT INTO sms_data.delivery_time_count
        SELECT hour - {ago}, provider, country, bucket, messages
        FROM sms_data.delivery_time_count, sms_data.counts_only WHERE hour >= before""",
)
_YEAR: Final = (
    "UPDATE sms_data.counts_only SET before = (SELECT min(hour) FROM sms_data.message_count)",
    *(sql.format(ago=f"interval '{hours} hours'") for hours in range(720, 8640, 720) for sql in _ONE_MORE_MONTH),
    *(
        f"VACUUM (ANALYZE) sms_data.{name}_count"
        for name in ("message", "message_day", "code_day", "delivery_time_day")
    ),
)
"""The counts of eleven months before, as if the messages themselves were gone."""

_CARELESS: Final = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'8GB'", "checkpoint_timeout": "'30min'"}
"""Settings of the server while it is filled."""
_RELOAD: Final = "SELECT pg_reload_conf()"
_SERIAL: Final = ("SET max_parallel_workers_per_gather = 0", "SET ROLE sms_reader")

_MONTH: Final = re.compile(r"(\b(?:hour|day) > now\(\) - interval |_counts\(now\(\) - interval )'(?:1 day|7 days)'")
_PERIODS: Final = {"a day": 1, "a week": 7, "a month": 30, "a year": 365}
"""For which a dashboard is asked, with the steps that it has at first, in days."""

_GOALS_MS: Final = {"page": 300.0, "year": 1_000.0, "look-up": 50.0, "last": 20.0}

_MORE: Final = {
    "messages of a number, plainly": "SELECT message_id, status FROM sms.delivery_report"
    " WHERE recipient = '+8615512345678' AND received_at > now() - interval '30 days'",
    "messages of a number, a month": "SELECT * FROM sms.messages_to('+8615512345678')",
    "one message by id": "SELECT * FROM sms.message WHERE message_id = 'b9d9b4fe-ad0e-4a2a-a2c7-445505b674ac_6'",
    "replies of a number": "SELECT * FROM sms.reply WHERE sender = '+8615512345678'",
    "last replies": "SELECT * FROM sms.reply ORDER BY received_at DESC LIMIT 100",
    "last rejected": "SELECT * FROM sms.rejected_payload ORDER BY received_at DESC LIMIT 100",
    "receipts of a month": "SELECT provider, sum(callback_count) FROM sms.receipt_statistics"
    " WHERE hour > now() - interval '30 days' GROUP BY 1",
    "overdue, the oldest": "SELECT * FROM sms.overdue_message ORDER BY submitted_at LIMIT 100",
    "delivery times of a month": "SELECT * FROM sms.delivery_percentiles(now() - interval '30 days', by => '1 day')",
}
"""Views with an obvious filter, beside what the pages ask."""


class Asked(NamedTuple):
    """A query, what it cost in milliseconds, and the goal."""

    name: str
    query: str
    cpu_ms: float
    wall_ms: float
    hit: int
    read: int
    rows: int
    goal_ms: float

    @property
    def met(self) -> bool:
        """Whether it takes no more than it may."""
        return self.cpu_ms <= self.goal_ms


async def fill(url: str, rows: int) -> None:
    """Fill a migrated database with so many messages of the last month, and with the counts of a year."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
    for statement in _LEAN:
        await connection.execute(statement)
    await connection.execute(_FILL.read_text(encoding="utf-8").replace("{a_day}", str(rows // DAYS)))
    await _drop_partitions(connection)
    today = datetime.now(UTC).date()
    for ago in range(DAYS - 1, -1, -1):
        began = time.monotonic()
        await connection.execute("CALL bench.fill_day($1)", today - timedelta(days=ago))
        click.echo(f"day {DAYS - ago} of {DAYS}: {time.monotonic() - began:.0f} s", err=True)
    for statement in (*_INDEXED, "VACUUM (ANALYZE) sms_data.message", "ANALYZE", *_COUNTED, *_YEAR):
        began = time.monotonic()
        await connection.execute(statement)
        click.echo(f"{statement[:60]}: {time.monotonic() - began:.0f} s", err=True)
    await overdue.refresh(connection, {provider.name: provider.reporting_window_h for provider in PROVIDERS})
    await counts.fold(connection)
    await connection.close()


async def _drop_partitions(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    today = f"{datetime.now(UTC):%Y%m%d}"
    for parent in ("report", "reply", "submission"):
        await connection.execute(f"DROP TABLE IF EXISTS sms_data.{parent}_{today}")


async def questions(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    """What the pages ask, over the time that they print and over a month, with values that are there."""
    row = await connection.fetchrow(
        "SELECT message_id, recipient, correlation FROM sms.submission"
        " WHERE received_at > now() - interval '2 days' AND provider = 'huawei' LIMIT 1"
    )
    assert row is not None
    found: dict[str, str] = {}
    for name, query in (asked() | _MORE).items():
        for example, value in (
            ("b9d9b4fe-ad0e-4a2a-a2c7-445505b674ac_6", row["message_id"]),
            ("+8615512345678", row["recipient"]),
            ("order-4711", row["correlation"]),
        ):
            query = query.replace(example, value)  # noqa: PLW2901 - one value after another
        found[name] = query
        if (month := _MONTH.sub(r"\g<1>'30 days'", query)) != query:
            found[f"{name}, over a month"] = month
    return found | await _dashboards(connection)


async def _dashboards(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    """What Grafana sends for each panel; those without variables once, for they name their period."""
    found: dict[str, str] = {}
    now = datetime.now(UTC)
    for board in grafana.DASHBOARDS:
        for period, days in _PERIODS.items():
            since = now - timedelta(days=days)
            values = await grafana.opened(board, connection, since, now)
            for panel in grafana.panels(board):
                for query in panel.queries:
                    timed = "$__time" in query
                    if timed or period == "a day":
                        name = f"Grafana: {panel.title}{f', over {period}' if timed else ''}"
                        found[name] = grafana.expand(query, values, since, now)
    return found


def goal_ms(name: str, query: str) -> float:
    """What a query may cost, by its kind."""
    if name.endswith("a year"):
        return _GOALS_MS["year"]
    if re.search(r"ORDER BY \w+ DESC LIMIT 100;?\s*$", query):
        return _GOALS_MS["last"]
    if re.search(r"\b(message_id|recipient|sender|correlation) = '|messages_to\(", query):
        return _GOALS_MS["look-up"]
    return _GOALS_MS["page"]


def _cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


async def ask(connection: "asyncpg.Connection[asyncpg.Record]", name: str, query: str) -> Asked:
    """The cheapest of three runs, after one that warms the cache."""
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    taken = []
    rows = await connection.fetch(query)
    for _ in range(3):
        before, began = _cpu_ns(pid), time.monotonic()
        await connection.fetch(query)
        taken.append(((_cpu_ns(pid) - before) / 1e6, (time.monotonic() - began) * 1e3))
    (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}"))
    node: dict[str, Any] = plan["Plan"]
    hit, read = node["Shared Hit Blocks"], node["Shared Read Blocks"]
    return Asked(name, query, *min(taken), hit, read, len(rows), goal_ms(name, query))


async def measure(cluster: Cluster, rows: int) -> list[Asked]:
    """Fill a database and ask it everything, as a reader without parallel workers."""
    async with cluster.database() as url:
        await cluster.execute(*(f"ALTER SYSTEM SET {name} = {value}" for name, value in _CARELESS.items()), _RELOAD)
        await fill(url, rows)
        await cluster.execute("ALTER SYSTEM RESET ALL", _RELOAD, "CHECKPOINT")
        connection = await asyncpg.connect(url)
        try:
            asking = await questions(connection)
            for statement in _SERIAL:
                await connection.execute(statement)
            found = []
            for name, query in asking.items():
                found.append(await ask(connection, name, query))
                click.echo(f"{found[-1].cpu_ms:,.1f} ms  {name}", err=True)
            return found
        finally:
            await asyncio.wait_for(connection.close(), 10)
