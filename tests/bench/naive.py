"""(b) The straightforward handler: parse, one INSERT a report into the receiver's own table, answer.

    python -m bench.naive PORT DATABASE_URL [many]

It does less than the receiver: no duplicate check, no message state, no rejected payloads, no spool, no log, no
metrics. `many` sends the reports of a batch with `executemany` instead of one by one.
"""

import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import uvloop
from aiohttp import web

from bench.serving import serve

_INSERT = """
INSERT INTO sms_data.report (report_id, message_id, provider, segment, segments, status, code, operator_code,
                             reported_by, happened_at, received_at, remote_addr, raw)
VALUES ($1, $2, 'huawei', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_STATUS = {"DELIVRD": "delivered", "ACCEPTD": "accepted"}
_POOL = web.AppKey("pool", asyncpg.Pool)
_MANY = web.AppKey("many", bool)


def row(item: dict[str, str], remote: str | None) -> tuple[object, ...]:
    return (
        uuid4(),
        item["smsMsgId"],
        int(item["sequence"]),
        int(item["total"]),
        _STATUS.get(item["status"], "unknown"),
        item["status"],
        item["orgCode"],
        item["source"],
        datetime.fromisoformat(item["updateTime"]),
        datetime.now(UTC),
        remote,
        json.dumps(item),
    )


def good() -> web.Response:
    return web.json_response({"returnCode": 0, "returnCodeDesc": "Success"})


async def report(request: web.Request) -> web.Response:
    item = {name: str(value) for name, value in (await request.post()).items()}
    await request.app[_POOL].execute(_INSERT, *row(item, request.remote))
    return good()


async def reports(request: web.Request) -> web.Response:
    rows = [row(item, request.remote) for item in (await request.json())["statusReportList"]]
    async with request.app[_POOL].acquire() as connection, connection.transaction():
        if request.app[_MANY]:
            await connection.executemany(_INSERT, rows)
        else:
            for one in rows:
                await connection.execute(_INSERT, *one)
    return good()


async def pool(app: web.Application) -> AsyncIterator[None]:
    async with asyncpg.create_pool(sys.argv[2]) as app[_POOL]:
        yield


def main() -> None:
    app = web.Application(client_max_size=1024 * 1024)
    app[_MANY] = sys.argv[3:] == ["many"]
    app.cleanup_ctx.append(pool)
    app.router.add_post("/callback/huawei/report", report)
    app.router.add_post("/callback/huawei/reports", reports)
    uvloop.run(serve(app, int(sys.argv[1])))


if __name__ == "__main__":
    main()
