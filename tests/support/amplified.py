"""Bodies that are small and whose rows are not, were nothing bounded."""

import json
from typing import Any

RESULT: dict[str, Any] = {"COUNTRY_CODE": 852, "SMS_STATE": 2}


def packet(results: int, **fields: Any) -> bytes:
    """A CloudSMS packet with so many results, each for a recipient of its own."""
    envelope = {
        "METHOD": "SMS_PUSH_REPORT",
        "TYPE": "REQUEST",
        "SERIAL": 7,
        "TIME": "2026-03-01 20:00:05",
        "REPORT_TIME": "2026-03-01 20:00:00",
        "SOURCE_MSISDN": "CloudSMS",
        "SMS_UID": "packet-1",
    }
    items = [RESULT | {"DEST_MSISDN": str(61_000_000 + n)} for n in range(results)]
    return json.dumps(envelope | fields | {"SMS_RESULT_LIST": items}, separators=(",", ":")).encode()


def nested(size: int) -> list[Any]:
    """Lists within lists, `size` bytes of JSON: what PostgreSQL's jsonb makes the most of."""
    deep: list[Any] = []
    for _ in range(26):
        deep = [deep]
    return [deep] * (size // 56)


def huawei(size: int, **fields: str) -> bytes:
    items = [{"smsMsgId": str(n), "status": "DELIVRD"} | fields for n in range(size)]
    return json.dumps({"statusReportList": items}, separators=(",", ":")).encode()


def tencent(size: int, ext: Any) -> bytes:
    items = [{"sid": str(n), "report_status": "SUCCESS", "ext": ext} for n in range(size)]
    return json.dumps(items, separators=(",", ":")).encode()


AMPLIFIED: dict[str, tuple[str, bytes]] = {
    "a nested CUSTOMER_BODY over a thousand results": (
        "cloudsms/report",
        packet(1_000, CUSTOMER_BODY={"deep": nested(16_000)}),
    ),
    "an honest CUSTOMER_BODY over a thousand recipients": (
        "cloudsms/report",
        packet(1_000, CUSTOMER_BODY={"order": "x" * 5_000}),
    ),
    "a long text over five thousand results": ("cloudsms/report", packet(5_000, CUSTOMER_BODY="x" * 600_000)),
    "long names over five thousand results": (
        "cloudsms/report",
        packet(5_000, SMS_UID="u" * 256, SOURCE_MSISDN="s" * 300_000, REPORT_TIME="t" * 300_000),
    ),
    "a field that no document has": ("cloudsms/report", packet(2_000, X=nested(100_000))),
    "the smallest reports": ("huawei/reports", huawei(5_000)),
    "numbers in lists": ("tencent/reports", tencent(60, [[0] * 8_000])),
    "one large context": ("tencent/reports", tencent(1, nested(900_000))),
}
"""Endpoint and body."""
