"""What waits in the spool comes out whatever it is, and live callbacks do not wait for it."""

import json
from datetime import UTC, datetime

import aiohttp
import asyncpg
from support.rig import Loaded

_BATCHES = 4
_LARGEST = 5_000
"""Items that a Huawei body may hold."""

_POISON = "ALTER TABLE sms_data.report ADD CONSTRAINT no_poison CHECK (code <> 'POISON')"
"""Something that PostgreSQL refuses because of what it is, and that no adapter knows of."""


def _batch(name: str, size: int, **special: str) -> bytes:
    items = [{"smsMsgId": f"{name}-{n}", "status": special.get(str(n), "DELIVRD")} for n in range(size)]
    return json.dumps({"statusReportList": items}).encode()


async def test_poison_malformed_bodies_and_the_largest_batches_leave_the_spool(loaded: Loaded) -> None:
    async with loaded(rate=100, queue_max_reports=_LARGEST + 1_000) as rig, aiohttp.ClientSession() as client:

        async def post(body: bytes) -> int:
            async with client.post(f"{rig.service.url}/callback/huawei/reports", data=body) as response:
                return response.status

        await rig.cluster.administrate(_POISON, database=rig.database)
        await rig.proxy.set("cut")
        await rig.service.spooling()
        began = datetime.now(UTC)
        poisoned = _batch("extra-poisoned", 300, **{str(n): "POISON" for n in range(0, 300, 10)})
        with rig.phase("spooled: poison, rubbish, the largest"):
            assert await post(poisoned) == 200
            assert await post(b"statusReportList, mangled") == 400
            for number in range(_BATCHES):
                assert await post(_batch(f"extra-{number}", _LARGEST)) == 200
            assert await post(_batch("extra-last", 1)) == 200
        ended = datetime.now(UTC)
        with rig.phase("while it drains"):
            await rig.proxy.set("pass")
            await rig.service.drained()
        ledger, _ = await rig.settle()
        assert set(ledger.outcomes()) == {"ok"}
        connection = await asyncpg.connect(rig.cluster.socket_url(rig.database))
        try:
            stored = await connection.fetchval(
                """
                SELECT count(*) FROM sms.delivery_report
                WHERE message_id LIKE 'extra-%' AND received_at BETWEEN $1 AND $2
            """,
                began,
                ended,
            )
            rejected = await connection.fetch("SELECT body, error, received_at FROM sms.rejected_payload ORDER BY 1")
        finally:
            await connection.close()
        assert stored == 270 + _BATCHES * _LARGEST + 1
        assert {row["body"] for row in rejected} == {poisoned, b"statusReportList, mangled"}
        assert len(rejected) == 2
        assert all(began <= row["received_at"] <= ended for row in rejected)
        assert not rig.service.noise(), rig.service.noise()
