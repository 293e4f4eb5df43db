"""CloudSMS (Web API v2.4): `SMS_PUSH_REPORT` packets, answered with a packet of the same protocol (UIP).

    {"METHOD": "SMS_PUSH_REPORT", "TYPE": "REQUEST", "SERIAL": 2, "TIME": "2022-03-07 10:00:05",
     "REPORT_TIME": "2022-03-07 10:00:00", "SOURCE_MSISDN": "CloudSMS", "SMS_UID": "5A3B394096E50X01D1FA163E81BFFF",
     "SMS_RESULT_LIST": [{"COUNTRY_CODE": 852, "DEST_MSISDN": "67123411", "SMS_STATE": 2, "RESULT_DESC": "DELIVERED"}],
     "CUSTOMER_BODY": {}}

Times are local time in UTC+8. `TIME` is the time of the push and `SERIAL` a counter that wraps around: neither belongs
to the message, so neither is part of a report's identity.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

import orjson
from pydantic import Field

from receiver.providers.base import Endpoint, Origin, Parsed, Provider, Registration, Request, Verdict
from receiver.providers.fields import (
    BEIJING,
    beijing_wall_clock,
    context,
    country_of_calling_code,
    e164,
    meaning,
    refusal,
    submitted_id,
)
from receiver.providers.payload import (
    Item,
    OptionalCode,
    OptionalText,
    PayloadError,
    ShortText,
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
from receiver.report import DeliveryReport, Envelope, ProviderName, Status, Submission, content_id, delivery_report

NAME: Final = ProviderName("cloudsms")

REPORT: Final = "cloudsms/report"

_METHOD: Final = "SMS_PUSH_REPORT"
_MAX_SERIAL: Final = 65_535
_MAX_COPIED: Final = 8 * 1024
"""An envelope is copied into its reports' rows up to so many bytes in all; a larger one is stored once."""


class Packet(Wire):
    """Delivery Report (DR) Request Format, without its list of results."""

    method: Text = Field(alias="METHOD")
    type: Text = Field(alias="TYPE")
    message_id: Text = Field(alias="SMS_UID")
    sender: ShortText = Field(None, alias="SOURCE_MSISDN")
    report_time: ShortText = Field(None, alias="REPORT_TIME")


class Destination(Wire):
    """The recipient in reports and answers."""

    country_code: OptionalText = Field(None, alias="COUNTRY_CODE")
    dest_msisdn: OptionalText = Field(None, alias="DEST_MSISDN")


class Detail(Destination):
    """One entry of `DETAIL_LIST`, the answer for one recipient of a send request."""

    message_id: OptionalCode = Field(None, alias="SMS_UID")
    result_code: int = Field(alias="RESULT_CODE", ge=0, le=0xFFFF_FFFF)
    description: OptionalText = Field(None, alias="RESULT_DESC")


class Result(Destination):
    """One entry of `SMS_RESULT_LIST`."""

    state: Text = Field(alias="SMS_STATE")
    description: OptionalText = Field(None, alias="RESULT_DESC")


def parse(request: Request) -> Parsed:
    """Parse the reports of one packet. An invalid SERIAL is a fault, but its reports are stored."""
    fields = as_object(parse_json(text_of(request.body)))
    serial, faults = _serial(fields.get("SERIAL"))
    reports: Iterable[DeliveryReport] = ()
    try:
        reports = mending(partial(_reports, faults), fields, faults, "the packet: ")
    except PayloadError as error:
        faults.append(str(error))
    return Parsed(reports=reports, faults=faults, answer_context={"SERIAL": serial})


def _reports(faults: list[str], fields: Item) -> Iterator[DeliveryReport]:
    beside = {name: value for name, value in fields.items() if name != "SMS_RESULT_LIST"}
    raw = as_json_text(beside)
    packet = read(Packet, fields)
    if packet.method != _METHOD or packet.type != "REQUEST":
        raise PayloadError(f"METHOD and TYPE are not {_METHOD} and REQUEST")
    results = as_list(fields.get("SMS_RESULT_LIST"), "SMS_RESULT_LIST")
    correlation = context({"CUSTOMER_BODY": fields.get("CUSTOMER_BODY")})
    if len(results) > 1 and len(results) * len(raw) > _MAX_COPIED:
        build = partial(_report, packet, {}, None, Envelope(raw, correlation))
    else:
        build = partial(_report, packet, beside, correlation, None)
    return each(results, build, faults)


def parse_submissions(request: Request) -> Parsed:
    """Parse the answer to an `SMS_SEND_REQUEST` (Response UIP Format)."""
    answer = as_object(parse_json(text_of(request.body)))
    faults: list[str] = []
    return Parsed(submissions=mending(partial(_submissions, faults), answer, faults, "the packet: "), faults=faults)


def _submissions(faults: list[str], answer: Item) -> Iterator[Submission]:
    request = as_json_text([answer.get("TIME"), answer.get("SERIAL")])
    build = partial(_submission, content_id(request), beijing_wall_clock(scalar_text(answer.get("TIME"))))
    return each(as_list(answer.get("DETAIL_LIST"), "DETAIL_LIST"), build, faults)


def _submission(request: str, submitted_at: datetime | None, item: Item) -> Submission:
    raw = as_json_text(item)
    wire = read(Detail, item)
    recipient, country = _msisdn(wire)
    code = f"0x{wire.result_code:02X}" if wire.result_code < _INVALID_PARAMETER else f"0x{wire.result_code:08X}"
    accepted = wire.result_code == _RESULT_CODE[Verdict.GOOD]
    status, reason = (Status.ENROUTE, None) if accepted else refusal(NAME, code)
    return Submission(
        provider=NAME,
        message_id=submitted_id(NAME, wire.message_id, accepted=accepted, request=request, raw=raw),
        recipient_key=_recipient_key(wire, recipient),
        recipient=recipient,
        country=country,
        fee=1 if accepted else 0,
        code=code,
        status=status,
        reason=reason,
        detail=wire.description,
        submitted_at=submitted_at,
        raw=raw,
    )


def _serial(value: object) -> tuple[object, list[str]]:
    """The SERIAL for the answer, and its faults (General Parameters: 1 to 65535)."""
    text = str(value).strip()
    if not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_SERIAL)):
        return int(text), [] if 1 <= int(text) <= _MAX_SERIAL else ["SERIAL is not between 1 and 65535"]
    answer_context = value if isinstance(value, str) and text.isprintable() and len(text) <= len("REQUEST") else 1
    return answer_context, ["SERIAL is missing" if value is None else "SERIAL is not a whole number"]


def _report(
    packet: Packet, beside: Item, correlation: str | None, envelope: Envelope | None, item: Item
) -> DeliveryReport:
    """`beside` and `correlation` are copied into the report, the `envelope` is shared with others."""
    raw = as_json_text({**beside, "SMS_RESULT_LIST": [item]})
    result = read(Result, item)
    status, reason = meaning(NAME, result.state)
    recipient, country = _msisdn(result)
    return delivery_report(
        provider=NAME,
        message_id=packet.message_id,
        # One SMS_UID may have several results, so the recipient is part of the message's identity.
        recipient_key=_recipient_key(result, recipient),
        recipient=recipient,
        country=country,
        sender=packet.sender,
        code=result.state,
        status=status,
        reason=reason,
        detail=result.description,
        context=correlation,
        happened_at=beijing_wall_clock(packet.report_time),
        happened_at_text=packet.report_time or "",
        raw=raw,
        envelope=envelope,
    )


def _recipient_key(of: Destination, recipient: str | None) -> str:
    return (recipient or f"{of.country_code or ''} {of.dest_msisdn or ''}".strip())[:64]


def _msisdn(result: Destination) -> tuple[str | None, str | None]:
    """E.164 and country; the country alone if the number is masked or missing."""
    number, calling_code = result.dest_msisdn or "", (result.country_code or "").lstrip("+0")
    if not number.startswith("+"):
        number = f"+{calling_code}{number}" if calling_code else ""
    recipient, country = e164(number)
    return recipient, country or country_of_calling_code(calling_code)


_RESULT_CODE: Final[dict[Verdict, int]] = {Verdict.GOOD: 0x01, Verdict.BUSY: 0x03}
_INVALID_PARAMETER: Final = 0x10000001
"""RESULT_CODE and RESULT_DESC: 1 OK, 3 Busy, 0x10000001 parameter error."""


def answer(verdict: Verdict, description: str, answer_context: Mapping[str, object]) -> bytes:
    """Delivery Report (DR) response Format."""
    return orjson.dumps(
        {
            "METHOD": _METHOD,
            "TYPE": "ANSWER",
            "SERIAL": answer_context.get("SERIAL", 1),
            "TIME": datetime.now(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            "RESULT_CODE": _RESULT_CODE.get(verdict, _INVALID_PARAMETER),
            "RESULT_DESC": "OK" if verdict is Verdict.GOOD else description[:127],
        }
    )


ORIGIN: Final = Origin(
    networks=("223.119.32.232", "223.119.32.134", "223.119.32.139", "223.119.32.250", "223.119.32.160"),
    complete=True,
)
"""The platform's callback servers ("CloudSMS Platform Server"); the last one is its test environment."""

PROVIDER: Final = Provider(
    name=NAME,
    title="CloudSMS",
    endpoints=(Endpoint(provider=NAME, path=REPORT, parse=parse, answer=answer),),
    submissions=parse_submissions,
    reporting_window_h=25,
    origin=ORIGIN,
    registrations={
        REPORT: Registration("status reports", "hand the link to your account manager: one address is supported"),
    },
)
