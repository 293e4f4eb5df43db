"""Huawei Cloud Message & SMS: status reports, one by one or in batches, and uplink (mobile-originated) messages.

A single report (Status Report Receiving API, 3.2.5) is a form:

    sequence=1&total=1&orgCode=000&updateTime=2018-04-13T06%3A31%3A46Z&source=2&smsMsgId=b9d9b4fe-..._6&status=DELIVRD

a batch (3.2.6) is JSON, `{"statusReportList": [{"smsMsgId": "...", "status": "DELIVRD", ...}, ...]}`, and an uplink
message is a form with `smsMsgId`, `from`, `to`, `body` and perhaps `createTime`. Only `smsMsgId` and `status` are
mandatory in a report: those that the platform makes up itself have no `updateTime`.
"""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import unquote

import orjson
from pydantic import BeforeValidator, Field

from receiver.providers.base import HTTP_STATUS, Origin, Parsed, Provider, Registration, Request, Verdict, endpoints
from receiver.providers.fields import alpha2, context, e164, iso_utc, meaning, refusal
from receiver.providers.huawei_signature import verify
from receiver.providers.payload import (
    Item,
    OptionalText,
    PayloadError,
    SegmentNumber,
    Text,
    Wire,
    as_json_text,
    as_list,
    as_object,
    each,
    looks_like_json,
    mending,
    parse_form,
    parse_json,
    read,
    text_of,
)
from receiver.report import (
    DeliveryReport,
    ProviderName,
    Reply,
    ReportedBy,
    Status,
    Submission,
    content_id,
    delivery_report,
)

NAME: Final = ProviderName("huawei")

REPORT, REPORTS, UPLINK = "huawei/report", "huawei/reports", "huawei/uplink"

_ACCEPTED: Final = "000000"

_STRAY_BRACKET: Final = "]"
"""The sample of 3.2.6 ends in one bracket too many."""

_REPORTED_BY: Final[dict[str | None, ReportedBy]] = {"1": "platform", "2": "smsc", "3": "huawei"}
"""Table 3-96, `source`."""


def _bare_plus(value: object) -> object:
    """Restore a `+` that was not percent-encoded in a form, and was decoded as a blank."""
    return f"+{value[1:]}" if isinstance(value, str) and value.startswith(" ") else value


Msisdn = Annotated[OptionalText, BeforeValidator(_bare_plus)]


class StatusReport(Wire):
    """Table 3-96, and Table 3-101 for a batch. `statusDesc` is undocumented and occurs."""

    message_id: Text = Field(alias="smsMsgId")
    status: Text
    total: SegmentNumber = None
    sequence: SegmentNumber = None
    source: OptionalText = None
    updated: OptionalText = Field(None, alias="updateTime")
    org_code: OptionalText = Field(None, alias="orgCode")
    extend: OptionalText = None
    to: Msisdn = None
    detail: OptionalText = Field(None, alias="statusDesc")


class SmsId(Wire):
    """Table 3-84: the result for one recipient of a send request."""

    message_id: Text = Field(alias="smsMsgId")
    status: Text
    sender: OptionalText = Field(None, alias="from")
    to: Msisdn = Field(None, alias="originTo")
    created: OptionalText = Field(None, alias="createTime")
    country: OptionalText = Field(None, alias="countryId")
    total: SegmentNumber = None


class Uplink(Wire):
    """A mobile-originated message. Its id refers to no sent message."""

    message_id: Text = Field(alias="smsMsgId")
    sender: Msisdn = Field(alias="from")
    to: OptionalText = None
    body: str = Field(max_length=4096)
    created: OptionalText = Field(None, alias="createTime")


def parse(request: Request) -> Parsed:
    """Parse a report, a batch or an uplink message, told apart by the body. Raises PayloadError."""
    text = text_of(request.body)
    kind, parsed = _json(text) if looks_like_json(text) else _form(text)
    return parsed._replace(expected_path=kind) if kind != request.path else parsed


def _json(text: str) -> tuple[str, Parsed]:
    value = as_object(parse_json(text, may_follow=_STRAY_BRACKET))
    if "statusReportList" not in value:
        return _one(value)
    faults: list[str] = []
    items = as_list(value["statusReportList"], "statusReportList")
    return REPORTS, Parsed(reports=each(items, _report, faults), faults=faults)


def _form(text: str) -> tuple[str, Parsed]:
    return _one(parse_form(text))


def _one(item: Item) -> tuple[str, Parsed]:
    faults: list[str] = []
    if "status" not in item and "body" in item:
        return UPLINK, Parsed(replies=[mending(_reply, item, faults)], faults=faults)
    return REPORT, Parsed(reports=[mending(_report, item, faults)], faults=faults)


def _report(item: Item) -> DeliveryReport:
    raw = as_json_text(item)
    wire = read(StatusReport, item)
    status, reason = meaning(NAME, wire.status)
    recipient, country = _msisdn(wire.to)
    # The colons are percent-encoded once more inside some JSON batches.
    updated = unquote(wire.updated) if wire.updated else None
    return delivery_report(
        provider=NAME,
        message_id=wire.message_id,
        recipient=recipient,
        country=country,
        segment=wire.sequence,
        segments=wire.total,
        code=wire.status,
        status=status,
        reason=reason,
        detail=wire.detail,
        operator_code=wire.org_code,
        reported_by=_REPORTED_BY.get(wire.source),
        context=context({"extend": wire.extend}) if wire.extend else None,
        happened_at=iso_utc(updated),
        happened_at_text=updated or "",
        raw=raw,
    )


def _reply(item: Item) -> Reply:
    raw = as_json_text(item)
    wire = read(Uplink, item)
    sender, _ = _msisdn(wire.sender)
    return Reply(
        provider=NAME,
        reply_id=content_id(NAME, wire.message_id, wire.sender or "", wire.body, wire.created or ""),
        message_id=wire.message_id,
        sender=sender,
        recipient=wire.to,
        body=wire.body,
        sent_at=iso_utc(wire.created),
        raw=raw,
    )


def parse_submissions(request: Request) -> Parsed:
    """Parse the answer of the send APIs (3.2.3, 3.2.4). Their first sample has `code` inside `result`."""
    answer = as_object(parse_json(text_of(request.body)))
    results = as_list(answer.get("result"), "result")
    messages = [item for item in results if not (isinstance(item, dict) and "code" in item and "smsMsgId" not in item)]
    if not messages:
        raise PayloadError("result has no message in it")
    faults: list[str] = []
    return Parsed(submissions=each(messages, _submission, faults), faults=faults)


def _submission(item: Item) -> Submission:
    raw = as_json_text(item)
    wire = read(SmsId, item)
    recipient, country = _msisdn(wire.to)
    accepted = wire.status == _ACCEPTED
    status, reason = (Status.ENROUTE, None) if accepted else refusal(NAME, wire.status)
    return Submission(
        provider=NAME,
        message_id=wire.message_id,
        recipient=recipient,
        country=country or alpha2(wire.country),
        sender=wire.sender,
        segments=wire.total,
        fee=(wire.total or 1) if accepted else 0,
        code=wire.status,
        status=status,
        reason=reason,
        submitted_at=iso_utc(wire.created),
        raw=raw,
    )


def _msisdn(number: str | None) -> tuple[str | None, str | None]:
    """E.164 and country. A number without `+` is one of mainland China (3.2.3, `to`), if it has that form."""
    if number is None:
        return None, None
    if number.startswith("+"):
        return e164(number)
    return e164(number, "CN") if number.startswith("1") and len(number) == len("13112345678") else (None, None)


_GOOD: Final = b'{"returnCode":0,"returnCodeDesc":"Success"}'


def answer(verdict: Verdict, description: str, _answer_context: Mapping[str, object]) -> bytes:
    """The platform accepts any answer (3.2.5, Response Parameters); the description is for readers of traces."""
    if verdict is Verdict.GOOD:
        return _GOOD
    return orjson.dumps({"returnCode": HTTP_STATUS[verdict], "returnCodeDesc": description})


ORIGIN: Final = Origin(networks=("117.78.29.0/24", "124.70.27.0/24", "124.71.67.0/24"), complete=False)
"""The addresses in the vendor's FAQ; for the rest the API document (3.2.5) refers to the operation manager."""

PROVIDER: Final = Provider(
    name=NAME,
    title="Huawei Cloud Message & SMS",
    endpoints=endpoints(NAME, (REPORT, REPORTS, UPLINK), parse, answer),
    submissions=parse_submissions,
    reporting_window_h=72,
    verify=verify,
    origin=ORIGIN,
    example="smsMsgId=try-it&status=DELIVRD",
    registrations={
        REPORT: Registration("status reports, one by one", "`statusCallback` in the send request"),
        REPORTS: Registration(
            "status reports, in batches",
            "Application Management, address for status reports; leave `statusCallback` out of the send request",
        ),
        UPLINK: Registration("uplink messages", "Application Management, address for uplink SMSs (Chinese mainland)"),
    },
)
