"""Golden files: what the world sees of the receiver, written down, so that a change of it is one reviewed diff.

The bodies stand here once more, apart from the fixtures, so that nothing that moves within moves what is compared.
"""

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(__file__).parents[1] / "golden"
UPDATE: Final = "UPDATE_GOLDEN"
"""The environment variable with which the files are written instead of compared: `make golden`."""

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"

_HUAWEI: Final = {"smsMsgId": "golden-1", "status": "DELIVRD", "to": "+8615512345678", "extend": "order-1"}
_HUAWEI_BAD: Final = {"smsMsgId": "golden-3", "to": "+8615512345678"}
_UIP: Final = {
    "METHOD": "SMS_PUSH_REPORT",
    "TYPE": "REQUEST",
    "SERIAL": 7,
    "REPORT_TIME": "2026-11-20 17:15:04",
    "SMS_UID": "golden-4",
    "SMS_RESULT_LIST": [{"COUNTRY_CODE": 86, "DEST_MSISDN": "15512345678", "SMS_STATE": 2}],
    "CUSTOMER_BODY": {"order": "1"},
}
_TENCENT: Final = {
    "user_receive_time": "2026-11-20 17:15:04",
    "nationcode": "86",
    "mobile": "15512345678",
    "report_status": "FAIL",
    "errmsg": "MK:0001",
    "description": "number does not exist",
    "sid": "golden-5",
    "ext": "order-5",
}
_REPLY: Final = {
    "mobile": "15512345678",
    "nationcode": "86",
    "text": "退订",
    "sign": "示例",
    "extend": "7",
    "time": 1_700_000_000,
}

BODIES: Final[dict[str, tuple[str, str]]] = {
    "/callback/huawei/report": (FORM, "smsMsgId=golden-2&status=E200027&to=%2B8615512345678&sequence=1&total=1"),
    "/callback/huawei/reports": (JSON, json.dumps({"statusReportList": [_HUAWEI, _HUAWEI_BAD]})),
    "/callback/huawei/uplink": (FORM, "smsMsgId=golden-6&from=%2B8615512345678&to=1069&body=TD"),
    "/callback/cloudsms/report": (JSON, json.dumps(_UIP)),
    "/callback/tencent/reports": (JSON, json.dumps([_TENCENT])),
    "/callback/tencent/reply": (JSON, json.dumps(_REPLY)),
}
"""For each callback URL the media type and a body that is understood; of the second one, only in part."""

SUBMITTED: Final = json.dumps(
    {
        "code": "000000",
        "description": "Success",
        "result": [
            {
                "originTo": "+8615512345678",
                "createTime": "2026-11-20T09:15:04Z",
                "from": "csms100000001",
                "smsMsgId": "golden-7",
                "status": "000000",
                "countryId": "CN",
                "total": 1,
            }
        ],
    }
)
"""What Huawei Cloud's send API answered about one message."""

_OF_THE_MOMENT: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+\d\d:\d\d)?"), "TIME"),
    (re.compile(r'("(file_bytes|partition_days_left|sync_replica)": )(\d+|null|false)'), r"\1N"),
)


def masked(text: str) -> str:
    """Without times, and without numbers that depend on what has been done already."""
    for pattern, instead in _OF_THE_MOMENT:
        text = pattern.sub(instead, text)
    return text


def check(name: str, found: str) -> None:
    """Compare with the golden file of that name, or write it."""
    file = FOLDER / "expected" / name
    found = found.rstrip() + "\n"
    if os.environ.get(UPDATE):
        file.write_text(found, encoding="utf-8")
        return
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    if found != expected:
        diff = difflib.unified_diff(expected.splitlines(), found.splitlines(), f"expected/{name}", "found", lineterm="")
        pytest.fail("\n".join(["the outside has moved; if that is wanted: make golden", *diff]), pytrace=False)


def shape(value: Any) -> Any:
    """A JSON value with the types of its members in their place; of a list, each different shape once."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        shapes = [shape(inner) for inner in value]
        return [one for number, one in enumerate(shapes) if one not in shapes[:number]]
    return "null" if value is None else type(value).__name__


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
