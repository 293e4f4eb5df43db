"""Believable Huawei pushes: one report as a form, several as a JSON batch, an uplink message as a form.

POST huawei/report
sequence=1&total=2&updateTime=2026-11-20T06%3A31%3A46Z&source=2&smsMsgId=<uuid>_<digits>&status=DELIVRD
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode
from uuid import uuid5

import orjson

from receiver.simulate.dialects.base import REPLIES, Dialect, Event, Push, choose
from receiver.simulate.dialects.huawei_signer import push_headers

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/JSON;charset=UTF-8"
_HEADERS: Final = {"Pooltype": "proxy", "TerminalIP": "203.0.113.18", "TrcModule": "AP", "UserTrace": "application"}
_CHANNEL: Final = "106900000001"
_CHINA: Final = 86

_PLATFORM, _SMSC = "1", "2"

_FAILURES: Final = (
    (("UNDELIV", _SMSC), 20),
    (("MK:0001", _SMSC), 12),
    (("MK:0012", _SMSC), 8),
    (("MN:0001", _SMSC), 6),
    (("MA:0001", _SMSC), 4),
    (("MB:1042", _SMSC), 4),
    (("SMGPERR:52", _SMSC), 2),
    (("-3", _SMSC), 2),
    (("24", _SMSC), 2),
    (("REJECTD", _SMSC), 4),
    (("DJ:0255", _SMSC), 3),
    (("EXPIRED", _PLATFORM), 8),
    (("E200027", _PLATFORM), 3),
    (("BLACK", _PLATFORM), 4),
    (("MILIMIT", _PLATFORM), 4),
    (("KEYWORD", _PLATFORM), 3),
    (("SC:0006", _PLATFORM), 2),
)
"""((status, source), weight) of failures."""

_DETAIL: Final = {"UNDELIV": "无法送达", "MK:0001": "空号", "BLACK": "黑名单"}
"""`statusDesc` is undocumented and comes with some codes."""


def report(events: Sequence[Event]) -> Push:
    """One event as the form, several as the batch (Message & SMS, 3.2.5 and 3.2.6)."""
    ids = tuple(map(_message_id, events))
    if len(events) == 1:
        event = events[0]
        colons = ":" if event.pick > 0.9 else ""  # noqa: PLR2004  # most encode the colons of the time, some do not
        body = urlencode(_fields(event), quote_via=quote, safe=colons).encode()
        return Push(path="huawei/report", content_type=_FORM, body=body, message_ids=ids, headers=_HEADERS)
    batch = orjson.dumps({"statusReportList": [_fields(event) for event in events]})
    return Push(path="huawei/reports", content_type=_JSON, body=batch, message_ids=ids, headers=_HEADERS)


def _message_id(event: Event) -> str:
    return f"{event.message}_{event.message.int % 10**8}"


def _fields(event: Event) -> dict[str, str]:
    """One report. A field that says nothing is left out, as the platform does."""
    status, source = _code(event)
    abroad = event.country_code != _CHINA and source == _SMSC
    fields = {
        "sequence": str(event.segment),
        "total": str(event.segments),
        "orgCode": ("34" if event.stage == "failed" else "000") if abroad else None,
        # The platform gives no time to a report that it makes up because the carrier sent none.
        "updateTime": None if status == "EXPIRED" else _utc(event.happened_at),
        "source": source,
        "smsMsgId": _message_id(event),
        "status": status,
        "statusDesc": _DETAIL.get(status),
        "extend": event.extend,
        "to": event.msisdn if event.extend else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _code(event: Event) -> tuple[str, str]:
    if event.stage == "failed":
        return choose(_FAILURES, event.pick)
    return ("DELIVRD" if event.stage == "delivered" else "ACCEPTD", _SMSC)


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def reply(event: Event) -> Push | None:
    """An uplink message; only subscribers in mainland China can send one. Its id is a bare UUID of its own."""
    if event.country_code != _CHINA:
        return None
    fields = {
        "smsMsgId": str(uuid5(event.message, "uplink")),
        "from": event.msisdn,
        "to": _CHANNEL,
        "body": REPLIES[event.serial % len(REPLIES)],
        "createTime": _utc(event.happened_at + timedelta(seconds=1)),
    }
    body = urlencode(fields, quote_via=quote, safe="").encode()
    return Push(path="huawei/uplink", content_type=_FORM, body=body, headers=_HEADERS)


DIALECT: Final = Dialect(report=report, reply=reply, max_batch=50, interim=0.05, segmented=True, sign=push_headers)
