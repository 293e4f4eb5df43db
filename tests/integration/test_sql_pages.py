"""The SQL in the documentation: it names what there is, and a reader's login may ask it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from support.dialects import good_body
from support.pages import PAGES, page, queries
from support.service import Service
from support.shared import shared_service
from support.submissions import hand_over, huawei

from receiver.store.maintenance import overdue as reporting

WINDOWS = {"huawei": 72, "cloudsms": 25, "tencent": 72}
HISTORY = "b9d9b4fe-ad0e-4a2a-a2c7-445505b674ac_6"
"""The message of the README's first request."""

VIEWS = """
SELECT c.relname AS view, obj_description(c.oid, 'pg_class') AS about, a.attname AS column,
       format_type(a.atttypid, a.atttypmod) AS type, col_description(c.oid, a.attnum) AS meaning
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sms'::regnamespace
ORDER BY c.relname, a.attnum
"""


@pytest.fixture(scope="module")
async def reader(cluster: str, template: str) -> AsyncIterator[asyncpg.Connection]:
    """A dashboard's login, and behind the views something of everything."""
    async with shared_service(cluster, template) as service:
        await something_of_everything(service)
        await reporting.refresh(service.sql, WINDOWS)
        await service.sql.execute("SET ROLE sms_reader")
        yield service.sql


async def something_of_everything(service: Service) -> None:
    reports = (
        (HISTORY, "ACCEPTD", time_of(1)),
        (HISTORY, "DELIVRD", time_of(0)),
        ("refused", "E200028", time_of(1)),
        ("strange", "NEVER-SEEN", time_of(2)),
        ("order-17", "DELIVRD", time_of(0)),
    )
    for name, code, at in reports:
        body = f"smsMsgId={name}&status={code}&updateTime={at}&extend=order-17&to=%2B8615512345678"
        assert (await service.post("/callback/huawei/report", body))[0] == 200
    stop = json.dumps({"mobile": "15512345678", "nationcode": "86", "text": "STOP", "sign": "Acme", "time": 1700000000})
    pushed = [(path, good_body(path, "stop")) for path in ("cloudsms/report", "tencent/reports", "tencent/reply")]
    for path, body in [*pushed, ("tencent/reply", stop)]:
        assert (await service.post(f"/callback/{path}", body))[0] == 200
    assert (await service.post("/callback/huawei/report", "nothing of the kind"))[0] == 400
    for answer in (huawei("order-17", createTime=time_of(0.5)), huawei("silent", createTime=time_of(100))):
        await hand_over(service, "/submissions/huawei", answer, correlation="order-17")


def time_of(hours_ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours_ago):%Y-%m-%dT%H:%M:%SZ}"


async def test_the_page_has_every_view_and_column_as_the_database_explains_them(reader: asyncpg.Connection) -> None:
    tables: dict[str, list[str]] = {}
    for row in await reader.fetch(VIEWS):
        head = [f"### sms.{row['view']}", "", row["about"], "", "| column | type | meaning |", "|---|---|---|"]
        kind = row["type"].replace("timestamp with time zone", "timestamptz")
        tables.setdefault(row["view"], head).append(f"| `{row['column']}` | {kind} | {row['meaning']} |")
    written = page("docs/sql.md")
    for lines in tables.values():
        assert "\n".join(lines) + "\n" in written + "\n"
    assert written.count("\n### sms.") == len(tables)


async def test_every_query_on_every_page_runs_for_a_reader(reader: asyncpg.Connection) -> None:
    """Those of the page about SQL find something besides."""
    asked = [(name, query) for name in PAGES for query in queries(name)]
    assert len(asked) > 15
    for name, query in asked:
        try:
            rows = await reader.fetch(query)
        except asyncpg.PostgresError as error:
            pytest.fail(f"{name}: {error}\n{query}")
        assert rows or name != "docs/sql.md", query
