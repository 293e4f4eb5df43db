"""Believable Tencent Cloud SMS pushes: reports as a JSON array, and replies as one JSON object.

[{"user_receive_time": "2026-11-20 14:31:46", "nationcode": "86", "mobile": "15500001234", "report_status": "FAIL",
  "errmsg": "MK:0001", "description": "...", "sid": "5000:0123...", "ext": "order=7"}]
"""

from collections.abc import Sequence
from typing import Final

import orjson

from receiver.providers.fields import BEIJING
from receiver.simulate.dialects.base import REPLIES, Dialect, Event, Push, choose

_JSON: Final = "application/json; charset=utf-8"

_FAILURES: Final = (
    (("MK:0001", "空号"), 20),
    (("MI:0013", "手机不在服务区"), 15),
    (("MK:0005", "用户停机或关机"), 12),
    (("UNDELIV", "未送达"), 12),
    (("EXPIRED", "超时"), 8),
    (("MA:0001", "短信中心无应答"), 6),
    (("R:00069", "手机关机"), 5),
    (("DB:0141", "黑名单"), 5),
    (("MB:1042", "发送过于频繁"), 4),
    (("-43", "手机终端故障"), 3),
    (("SGIP:93", "网关无应答"), 3),
    (("ID:0076", "内容被拒绝"), 3),
    (("REJECTD", "被拦截"), 4),
)
"""((errmsg, description), weight); `errmsg` is the code."""


def report(events: Sequence[Event]) -> Push:
    """A push is an array even of one."""
    return Push(
        path="tencent/reports",
        content_type=_JSON,
        body=orjson.dumps([_item(event) for event in events]),
        message_ids=tuple(map(_sid, events)),
    )


def _item(event: Event) -> dict[str, str]:
    failed = event.stage == "failed"
    code, description = choose(_FAILURES, event.pick) if failed else ("DELIVRD", "已送达")
    item = {
        "user_receive_time": event.happened_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "nationcode": str(event.country_code),
        "mobile": event.national,
        "report_status": "FAIL" if failed else "SUCCESS",
        "errmsg": code,
        "description": description,
        "sid": _sid(event),
    }
    return item | ({"ext": event.extend} if event.extend else {})


def _sid(event: Event) -> str:
    return f"5000:{event.message.int % 10**28:028d}"


def reply(event: Event) -> Push:
    """A subscriber's answer: it has no id, and its time is Unix seconds."""
    body = {
        "extend": "",
        "mobile": event.national,
        "nationcode": str(event.country_code),
        "sign": "示例",
        "text": REPLIES[event.serial % len(REPLIES)],
        "time": int(event.happened_at.timestamp()) + 1,
    }
    return Push(path="tencent/reply", content_type=_JSON, body=orjson.dumps(body))


DIALECT: Final = Dialect(report=report, reply=reply, max_batch=100)
