"""Tencent Cloud SMS: pushes of status reports and of replies (mobile-originated messages).

Reports come as an array of up to 100 objects, all values texts:

    [{"user_receive_time": "2015-10-17 08:03:04", "nationcode": "86", "mobile": "13912345678",
      "report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "...", "sid": "8:aIt9bcbZHdse7kBZuqi20170104"}]

`errmsg` is the code, and `user_receive_time` is local time in UTC+8. A reply is one object with `extend`, `mobile`,
`nationcode`, `sign`, `text` and `time` (Unix seconds); it has no id, so its content is its identity. A push without a
good answer is sent two more times.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

import orjson
from pydantic import Field

from receiver.providers.base import Parsed, Provider, Registration, Request, Verdict, endpoints
from receiver.providers.fields import (
    alpha2,
    beijing_wall_clock,
    context,
    country_of_calling_code,
    e164,
    meaning,
    refusal,
    submitted_id,
)
from receiver.providers.payload import (
    MAX_DIGITS,
    Item,
    OptionalCode,
    OptionalText,
    Text,
    Wire,
    as_json_text,
    as_list,
    as_object,
    each,
    mending,
    parse_json,
    read,
    scalar_text,
    text_of,
)
from receiver.report import DeliveryReport, ProviderName, Reason, Reply, Status, Submission, content_id, delivery_report

NAME: Final = ProviderName("tencent")

REPORTS: Final = "tencent/reports"
REPLY: Final = "tencent/reply"

_REPLY_FIELDS: Final = frozenset(("text", "sign", "extend", "time"))
_LAST_SECOND: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class Report(Wire):
    """One object of a report push."""

    message_id: Text = Field(alias="sid")
    report_status: OptionalText = None
    code: OptionalCode = Field(None, alias="errmsg")
    description: OptionalText = None
    received: OptionalText = Field(None, alias="user_receive_time")
    calling_code: OptionalText = Field(None, alias="nationcode")
    mobile: OptionalText = None


class SendStatus(Wire):
    """SMS delivery status (used by SendSms). A refused message has an empty SerialNo."""

    message_id: OptionalCode = Field(None, alias="SerialNo")
    phone_number: OptionalText = Field(None, alias="PhoneNumber")
    fee: int = Field(0, alias="Fee", ge=0, le=1_000)
    session_context: OptionalText = Field(None, alias="SessionContext")
    code: Text = Field(alias="Code")
    message: OptionalText = Field(None, alias="Message")
    iso_code: OptionalText = Field(None, alias="IsoCode")


class ReplyPush(Wire):
    """The object of a reply push."""

    text: str
    calling_code: OptionalText = Field(None, alias="nationcode")
    mobile: OptionalText = None
    sign: OptionalText = None
    extend: OptionalText = None
    time: OptionalText = None


def parse(request: Request) -> Parsed:
    """Parse reports or a reply, told apart by the body. Raises PayloadError."""
    value = parse_json(text_of(request.body))
    faults: list[str] = []
    if isinstance(value, dict) and "sid" not in value and not _REPLY_FIELDS.isdisjoint(value):
        kind, parsed = REPLY, Parsed(replies=[mending(_reply, as_object(value), faults)], faults=faults)
    else:
        reports = each(as_list(value, "the body"), _report, faults)
        kind, parsed = REPORTS, Parsed(reports=reports, faults=faults)
    return parsed._replace(expected_path=kind) if kind != request.path else parsed


def _report(item: Item) -> DeliveryReport:
    raw = as_json_text(item)
    wire = read(Report, item)
    code = wire.code or wire.report_status or ""
    status, reason = outcome(wire.report_status, code)
    recipient, country = msisdn(wire.calling_code, wire.mobile)
    return delivery_report(
        provider=NAME,
        message_id=wire.message_id,
        recipient=recipient,
        country=country,
        code=code,
        status=status,
        reason=reason,
        detail=wire.description,
        context=context({"ext": item.get("ext")}),
        happened_at=beijing_wall_clock(wire.received),
        happened_at_text=wire.received or "",
        raw=raw,
    )


def _reply(item: Item) -> Reply:
    raw = as_json_text(item)
    wire = read(ReplyPush, item)
    sender, _ = msisdn(wire.calling_code, wire.mobile)
    identity = (wire.calling_code, wire.mobile, wire.time, wire.text, wire.sign)
    return Reply(
        provider=NAME,
        reply_id=content_id(NAME, *(part or "" for part in identity)),
        sender=sender,
        body=wire.text,
        sign=wire.sign,
        extend=wire.extend,
        sent_at=unix_time(wire.time),
        raw=raw,
    )


def parse_submissions(request: Request) -> Parsed:
    """Parse the answer of `SendSms`, with or without the enclosing `Response`."""
    answer = as_object(parse_json(text_of(request.body)))
    answer = as_object(answer.get("Response", answer))
    faults: list[str] = []
    statuses = as_list(answer.get("SendStatusSet"), "SendStatusSet")
    # Hashed, because it is part of the identity of each refused message.
    request_id = content_id(scalar_text(answer.get("RequestId")) or "")
    return Parsed(submissions=each(statuses, partial(_submission, request_id), faults), faults=faults)


def _submission(request: str, item: Item) -> Submission:
    raw = as_json_text(item)
    wire = read(SendStatus, item)
    recipient, country = e164(wire.phone_number or "")
    accepted = wire.code.lower() == "ok"
    status, reason = (Status.ENROUTE, None) if accepted else refusal(NAME, wire.code)
    return Submission(
        provider=NAME,
        message_id=submitted_id(NAME, wire.message_id, accepted=accepted, request=request, raw=raw),
        recipient=recipient,
        country=country or alpha2(wire.iso_code),
        fee=wire.fee if accepted else 0,
        code=wire.code,
        status=status,
        reason=reason,
        detail=wire.message,
        context=context({"ext": wire.session_context}),
        raw=raw,
    )


def outcome(report_status: str | None, code: str) -> tuple[Status, Reason | None]:
    """Status and reason: SUCCESS or FAIL decides the status; the code gives the reason if it is one of a failure."""
    if report_status == "SUCCESS":
        return Status.DELIVERED, None
    if report_status != "FAIL":
        return Status.UNKNOWN, None
    status, reason = meaning(NAME, code)
    return (status, reason) if reason else (Status.UNDELIVERABLE, Reason.UNKNOWN)


def msisdn(calling_code: str | None, mobile: str | None) -> tuple[str | None, str | None]:
    """E.164 and country; the country alone if the number is masked or missing."""
    code = (calling_code or "").lstrip("+0")
    recipient, country = e164(f"+{code}{mobile}") if code and mobile else (None, None)
    return recipient, country or country_of_calling_code(code)


def unix_time(text: str | None) -> datetime | None:
    """Unix seconds as an aware datetime; None for anything else."""
    if text is None or len(text) > MAX_DIGITS or not text.isascii() or not text.isdigit():
        return None
    if not 0 < int(text) < _LAST_SECOND:
        return None
    return datetime.fromtimestamp(int(text), UTC)


def answer(verdict: Verdict, description: str, _answer_context: Mapping[str, object]) -> bytes:
    """`result` 0 is the good answer; after any other the platform pushes again."""
    if verdict is Verdict.GOOD:
        return b'{"result":0,"errmsg":"OK"}'
    return orjson.dumps({"result": 3 if verdict is Verdict.BUSY else 1, "errmsg": description})


PROVIDER: Final = Provider(
    name=NAME,
    title="Tencent Cloud SMS",
    endpoints=endpoints(NAME, (REPORTS, REPLY), parse, answer),
    submissions=parse_submissions,
    reporting_window_h=72,
    registrations={
        REPORTS: Registration("status reports", "SMS console, Callback Configuration, SMS status"),
        REPLY: Registration("replies", "SMS console, Callback Configuration, SMS reply"),
    },
)
