"""Believable CloudSMS pushes: UIP packets `SMS_PUSH_REPORT`, one recipient each; see `cloudsms.py` for a sample."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from receiver.providers.fields import BEIJING
from receiver.simulate.dialects.base import Dialect, Event, Push, choose

_SERIALS: Final = 128
"""The packet's SERIAL goes round from 1 to this (Web API v2.4, SERIAL)."""

_DELIVERED: Final = (2, "DELIVERED")

_INTERIM: Final = (
    ((1, "ENROUTE"), 80),
    ((6, "ACCEPTED"), 15),
    ((9, "IDLE"), 5),
)

_FAILURES: Final = (
    ((5, "UNDELIVERABLE"), 45),
    ((3, "EXPIRED"), 20),
    ((8, "REJECTED"), 15),
    ((60, "LOCAL_REJECTED"), 10),
    ((7, "UNKNOWN"), 7),
    ((4, "DELETED"), 3),
)
"""((SMS_STATE, RESULT_DESC), weight)."""


def report(events: Sequence[Event]) -> Push:
    """The packet of one event: the platform pushes each SMS_UID apart (Delivery Report, Examples)."""
    (event,) = events
    state, description = _state(event)
    result = {
        "COUNTRY_CODE": event.country_code,
        "DEST_MSISDN": event.national,
        "SMS_STATE": state,
        "RESULT_DESC": description,
    }
    packet = {
        "METHOD": "SMS_PUSH_REPORT",
        "TYPE": "REQUEST",
        "SERIAL": (event.serial - 1) % _SERIALS + 1,
        "TIME": _wall_clock(event.happened_at + timedelta(seconds=1)),
        "REPORT_TIME": _wall_clock(event.happened_at),
        "SOURCE_MSISDN": "CloudSMS",
        "SMS_UID": _uid(event),
        "SMS_RESULT_LIST": [result],
        "CUSTOMER_BODY": {"reference": event.extend} if event.extend else {},
    }
    return Push(
        path="cloudsms/report",
        content_type="application/json;charset=UTF-8",
        body=orjson.dumps(packet),
        message_ids=(_uid(event),),
    )


def _state(event: Event) -> tuple[int, str]:
    if event.stage == "delivered":
        return _DELIVERED
    return choose(_FAILURES if event.stage == "failed" else _INTERIM, event.pick)


def _uid(event: Event) -> str:
    """Thirty characters, like the document's sample; 26 hex digits keep them apart."""
    digits = event.message.hex.upper()
    return f"{digits[:13]}X01D{digits[-13:]}"


def _wall_clock(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


DIALECT: Final = Dialect(report=report, max_batch=1, interim=0.4)
