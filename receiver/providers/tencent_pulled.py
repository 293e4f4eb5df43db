"""Tencent Cloud SMS: reports and replies from its API, as an alternative to its pushes.

The whole answer of `PullSmsSendStatus` (or its list alone):

    {"Response": {"RequestId": "...", "PullSmsSendStatusSet": [
        {"UserReceiveTime": 1620734188, "CountryCode": "86", "SubscriberNumber": "13912345678",
         "PhoneNumber": "+8613912345678", "SerialNo": "5000:1045710669157053657849499619", "ReportStatus": "SUCCESS",
         "Description": "DELIVRD", "SessionContext": ""}]}}

and that of `PullSmsReplyStatus`, with `PullSmsReplyStatusSet` of `ExtendCode`, `CountryCode`, `SubscriberNumber`,
`PhoneNumber`, `SignName`, `ReplyContent` and `ReplyTime`. Times are Unix seconds, and `Description` is the code. They
are the pushed reports and replies under other names, with the same identity: one that is both pushed and pulled is
stored once. There is no callback URL for them.
"""

from typing import Final

from pydantic import Field

from receiver.providers.base import Endpoint, Parsed, Request
from receiver.providers.fields import context, country_of_calling_code, e164
from receiver.providers.payload import (
    Item,
    OptionalCode,
    OptionalText,
    PayloadError,
    Text,
    Wire,
    as_json_text,
    as_list,
    as_object,
    each,
    parse_json,
    read,
    text_of,
)
from receiver.providers.tencent import NAME, answer, msisdn, outcome, unix_time
from receiver.report import DeliveryReport, Reply, content_id, delivery_report

REPORTS: Final = "tencent/pulled-reports"
REPLIES: Final = "tencent/pulled-replies"

REPORT_LIST: Final = "PullSmsSendStatusSet"
REPLY_LIST: Final = "PullSmsReplyStatusSet"


class PulledReport(Wire):
    """One object of the list of reports."""

    message_id: Text = Field(alias="SerialNo")
    report_status: OptionalText = Field(None, alias="ReportStatus")
    code: OptionalCode = Field(None, alias="Description")
    received: OptionalText = Field(None, alias="UserReceiveTime")
    calling_code: OptionalText = Field(None, alias="CountryCode")
    mobile: OptionalText = Field(None, alias="SubscriberNumber")
    number: OptionalText = Field(None, alias="PhoneNumber")


class PulledReply(Wire):
    """One object of the list of replies."""

    text: str = Field(alias="ReplyContent")
    calling_code: OptionalText = Field(None, alias="CountryCode")
    mobile: OptionalText = Field(None, alias="SubscriberNumber")
    number: OptionalText = Field(None, alias="PhoneNumber")
    sign: OptionalText = Field(None, alias="SignName")
    extend: OptionalText = Field(None, alias="ExtendCode")
    time: OptionalText = Field(None, alias="ReplyTime")


def parse_reports(request: Request) -> Parsed:
    """The reports of one answer. Raises PayloadError."""
    faults: list[str] = []
    return Parsed(reports=each(_items(request.body, REPORT_LIST), _report, faults), faults=faults)


def parse_replies(request: Request) -> Parsed:
    """The replies of one answer. Raises PayloadError."""
    faults: list[str] = []
    return Parsed(replies=each(_items(request.body, REPLY_LIST), _reply, faults), faults=faults)


def _items(body: bytes, name: str) -> list[object]:
    value = parse_json(text_of(body))
    if isinstance(value, list):
        return as_list(value, "the body")
    whole = as_object(value)
    response = as_object(whole.get("Response"))
    if name not in response:
        raise PayloadError(f"the answer has no {name}")
    return as_list(response[name], name)


def _report(item: Item) -> DeliveryReport:
    raw = as_json_text(item)
    wire = read(PulledReport, item)
    code = wire.code or wire.report_status or ""
    status, reason = outcome(wire.report_status, code)
    recipient, country = _msisdn(wire.number, wire.calling_code, wire.mobile)
    happened_at = unix_time(wire.received)
    return delivery_report(
        provider=NAME,
        message_id=wire.message_id,
        recipient=recipient,
        country=country,
        code=code,
        status=status,
        reason=reason,
        context=context({"ext": item.get("SessionContext")}),
        happened_at=happened_at,
        # Zero stands for the empty text of a push.
        happened_at_text="" if wire.received == "0" else wire.received or "",
        raw=raw,
    )


def _reply(item: Item) -> Reply:
    raw = as_json_text(item)
    wire = read(PulledReply, item)
    sender, _ = _msisdn(wire.number, wire.calling_code, wire.mobile)
    mobile = wire.mobile or _national(wire.number, wire.calling_code)
    # The pushed reply's own parts, in the order of the push adapter.
    identity = (wire.calling_code, mobile, wire.time, wire.text, wire.sign)
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


def _msisdn(number: str | None, calling_code: str | None, mobile: str | None) -> tuple[str | None, str | None]:
    """From `PhoneNumber`, which is E.164 already; else from its two parts, as in a push."""
    recipient, country = e164(number) if number and number.startswith("+") else (None, None)
    if recipient is None:
        return msisdn(calling_code, mobile)
    return recipient, country or country_of_calling_code((calling_code or "").lstrip("+0"))


def _national(number: str | None, calling_code: str | None) -> str | None:
    prefix = f"+{(calling_code or '').lstrip('+0')}"
    return number.removeprefix(prefix) if number else None


SOURCES: Final = (
    Endpoint(provider=NAME, path=REPORTS, parse=parse_reports, answer=answer),
    Endpoint(provider=NAME, path=REPLIES, parse=parse_replies, answer=answer),
)
"""Kept like callbacks, under paths of their own; `answer` is not used."""
