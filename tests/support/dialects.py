"""The least that each callback URL understands, and what its answers look like."""

import json
from typing import Any

from receiver.providers import ENDPOINTS

ENDPOINT_PATHS = sorted(ENDPOINTS)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

_HUAWEI = {"smsMsgId": "NAME", "status": "DELIVRD", "to": "+8615512345678", "extend": "FILL"}
_UIP = {
    "METHOD": "SMS_PUSH_REPORT",
    "TYPE": "REQUEST",
    "SERIAL": 7,
    "REPORT_TIME": "2026-11-20 17:15:04",
    "SMS_UID": "NAME",
    "SMS_RESULT_LIST": [{"COUNTRY_CODE": 86, "DEST_MSISDN": "15512345678", "SMS_STATE": 2}],
    "CUSTOMER_BODY": {"order": "FILL"},
}
_TENCENT = {"sid": "NAME", "report_status": "SUCCESS", "errmsg": "DELIVRD", "mobile": "15512345678", "nationcode": "86"}
_REPLY = {"mobile": "15512345678", "nationcode": "86", "text": "NAME", "sign": "FILL", "extend": "", "time": 1700000000}

_BODIES = {
    "huawei/report": "smsMsgId=NAME&status=DELIVRD&to=%2B8615512345678&extend=FILL",
    "huawei/reports": json.dumps({"statusReportList": [_HUAWEI]}),
    "huawei/uplink": "smsMsgId=NAME&from=%2B8615512345678&to=1069&body=FILL",
    "cloudsms/report": json.dumps(_UIP),
    "tencent/reports": json.dumps([_TENCENT | {"ext": "FILL"}]),
    "tencent/reply": json.dumps(_REPLY),
}


def own_name(path: str, name: str) -> str:
    """The message id, or where there is none the text, of the good body of that name: each URL has its own."""
    return f"{name}-{path.replace('/', '-')}"


def good_body(path: str, name: str, *, fill: str = "x") -> bytes:
    """A body that is understood: `name` makes it one of its own, `fill` makes it as long as one likes."""
    return _BODIES[path].replace("NAME", own_name(path, name)).replace("FILL", fill).encode()


def content_type(path: str) -> str:
    """The media type that the platform sends."""
    return FORM if _BODIES[path][0] not in "{[" else JSON


def assert_good(path: str, answer: dict[str, Any]) -> None:
    _assert_answer(path, answer, good=True, busy=False)


def assert_bad(path: str, answer: dict[str, Any], *, busy: bool = False) -> None:
    """An error in the shape of the URL's provider."""
    _assert_answer(path, answer, good=False, busy=busy)


def _assert_answer(path: str, answer: dict[str, Any], *, good: bool, busy: bool) -> None:
    match path.partition("/")[0]:
        case "huawei":
            assert set(answer) == {"returnCode", "returnCodeDesc"}
            assert (answer["returnCode"] == 0) == good
            assert answer["returnCodeDesc"]
        case "cloudsms":
            assert set(answer) == {"METHOD", "TYPE", "SERIAL", "TIME", "RESULT_CODE", "RESULT_DESC"}
            assert (answer["METHOD"], answer["TYPE"]) == ("SMS_PUSH_REPORT", "ANSWER")
            assert answer["RESULT_CODE"] == (1 if good else 3 if busy else 268435457)
        case "tencent":
            assert set(answer) == {"result", "errmsg"}
            assert (answer["result"] == 0) == good
            assert answer["errmsg"]


def stored(path: str, name: str) -> tuple[str, str]:
    """SQL that counts what the good body of that name has left behind, and its argument."""
    reply = {"huawei/uplink": "message_id", "tencent/reply": "body"}.get(path)
    where = f"sms.reply WHERE {reply} = $1" if reply else "sms.delivery_report WHERE message_id = $1"
    return f"SELECT count(*) AS n FROM {where}", own_name(path, name)
