"""The normalised schema, common to all platforms (design, section 3)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal, NamedTuple, NewType

ProviderName = NewType("ProviderName", str)
"""A provider's short name, as in the callback URL: `huawei`, `cloudsms`, `tencent`."""

RowId = NewType("RowId", str)
"""The identity of a report, reply, submission or rejected payload: a UUID as 32 hexadecimal digits."""

ReportedBy = Literal["platform", "smsc", "huawei"]

MAX_SEGMENTS: Final = 255
"""The largest segment number that a concatenated short message can carry (3GPP TS 23.040, 9.2.3.24.1)."""

MAX_SEQUENCE: Final = 9_999

_SECONDS: Final = 4096
"""Times that are kept as texts: reports come within seconds or minutes of each other's times."""


class Status(StrEnum):
    """The SMPP message state (SMPP 3.4, section 5.2.28), in lower case."""

    UNKNOWN = "unknown"
    ENROUTE = "enroute"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    DELETED = "deleted"
    UNDELIVERABLE = "undeliverable"
    REJECTED = "rejected"
    DELIVERED = "delivered"


RANK: Final[dict[Status, int]] = {
    Status.UNKNOWN: 0,
    Status.ENROUTE: 1,
    Status.ACCEPTED: 2,
    Status.EXPIRED: 3,
    Status.DELETED: 4,
    Status.UNDELIVERABLE: 4,
    Status.REJECTED: 4,
    Status.DELIVERED: 5,
}
"""Precedence among reports about one segment, the greatest wins. `unknown`: a code that is not in the catalogue."""

FINAL: Final = frozenset(status for status, rank in RANK.items() if rank >= RANK[Status.EXPIRED])
"""The states after which no other state follows."""


class Reason(StrEnum):
    """Why a message did not arrive. Null for a delivered message and for one that is under way."""

    INVALID_NUMBER = "invalid_number"
    NUMBER_UNAVAILABLE = "number_unavailable"
    SUSPENDED = "suspended"
    UNREACHABLE = "unreachable"
    HANDSET_ERROR = "handset_error"
    BLOCKLISTED = "blocklisted"
    RATE_LIMITED = "rate_limited"
    CONTENT_REJECTED = "content_rejected"
    BLOCKED = "blocked"
    NUMBER_PORTED = "number_ported"
    NOT_PERMITTED = "not_permitted"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    CARRIER_ERROR = "carrier_error"
    PLATFORM_ERROR = "platform_error"
    NO_REPORT = "no_report"
    EXPIRED = "expired"
    DUPLICATE_RECIPIENT = "duplicate_recipient"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields that all reports of one packet share: stored once, and shown in each of them.

    `raw` is a JSON object of the fields beside the reports; `context` is as in DeliveryReport.
    """

    raw: str
    context: str | None

    envelope_id: RowId = field(init=False)
    """A hash of `raw`."""

    def __post_init__(self) -> None:
        """Compute the id once, and not for each report."""
        object.__setattr__(self, "envelope_id", content_id(self.raw))


class DeliveryReport(NamedTuple):
    """One report about one segment of one message, as parsed by its provider's adapter; made by `delivery_report`.

    `code` and `detail` are verbatim the provider's. `recipient` is E.164 with `+`, or None if it cannot be derived.
    `recipient_key` is part of the message's identity: the recipient in the provider's spelling if one message id spans
    several recipients, else the empty string. `happened_at` is aware, or None if the provider's time is missing or
    malformed; `happened` is the same time as ISO 8601 in UTC, which sorts in order of time, or the empty string.
    `sequence`, from 0 to MAX_SEQUENCE, is the position of the code in the platform's own order of states: it decides
    between reports of equal rank and time, and before the spelling of the code. `context` and `raw` are JSON texts that
    PostgreSQL's jsonb accepts; `raw` lacks the fields that are in the `envelope`.

    `report_id` is the report's identity: the same report, sent again or fetched by another API, has the same id.
    """

    report_id: RowId
    provider: ProviderName
    message_id: str
    recipient_key: str
    code: str
    status: Status
    reason: Reason | None
    happened: str
    sequence: int
    segment: int | None
    segments: int | None
    recipient: str | None
    country: str | None
    sender: str | None
    detail: str | None
    operator_code: str | None
    reported_by: ReportedBy | None
    happened_at: datetime | None
    context: str | None
    envelope: Envelope | None
    raw: str


def delivery_report(
    *,
    provider: ProviderName,
    message_id: str,
    code: str,
    status: Status,
    reason: Reason | None,
    raw: str,
    envelope: Envelope | None = None,
    recipient_key: str = "",
    recipient: str | None = None,
    country: str | None = None,
    sender: str | None = None,
    segment: int | None = None,
    segments: int | None = None,
    detail: str | None = None,
    operator_code: str | None = None,
    reported_by: ReportedBy | None = None,
    context: str | None = None,
    happened_at: datetime | None = None,
    happened_at_text: str = "",
    sequence: int = 0,
) -> DeliveryReport:
    """A report with its id. `happened_at_text` is the provider's time where it is malformed.

    The provider's own statements go into the id. Derived fields (status, reason, country, sequence) do not, or a better
    catalogue would make a new report of an old one; nor do fields that change from push to push (a packet's serial
    number, the time of the push).
    """
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise ValueError(f"the sequence {sequence} is not between 0 and {MAX_SEQUENCE}")
    happened = _in_utc(happened_at) if happened_at else ""
    report_id = content_id(
        provider,
        message_id,
        recipient_key,
        str(segment),
        str(segments),
        code,
        happened or happened_at_text,
        str(reported_by),
        str(operator_code),
    )
    return DeliveryReport(
        report_id,
        provider,
        message_id,
        recipient_key,
        code,
        status,
        reason,
        happened,
        sequence,
        segment,
        segments,
        recipient,
        country,
        sender,
        detail,
        operator_code,
        reported_by,
        happened_at,
        context,
        envelope,
        raw,
    )


@lru_cache(maxsize=_SECONDS)
def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One mobile-originated message: `sender` is the subscriber (E.164), `recipient` the channel number."""

    provider: ProviderName
    reply_id: RowId
    body: str
    raw: str
    message_id: str | None = None
    sender: str | None = None
    recipient: str | None = None
    sign: str | None = None
    extend: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A platform's answer to the submission of one message: accepted for delivery (`enroute`) or `rejected`.

    `fee` is the number of charged segments. `submitted_at` is None if the answer has no time. The rest is as in
    DeliveryReport.
    """

    provider: ProviderName
    message_id: str
    code: str
    status: Status
    reason: Reason | None
    raw: str
    recipient_key: str = ""
    recipient: str | None = None
    country: str | None = None
    sender: str | None = None
    segments: int | None = None
    fee: int | None = None
    detail: str | None = None
    context: str | None = None
    submitted_at: datetime | None = None

    @property
    def submission_id(self) -> RowId:
        """The submission's identity: the same answer, posted again, has the same id."""
        return content_id("submission", self.provider, self.message_id, self.recipient_key, self.code)


def content_id(*parts: str) -> RowId:
    """A 128-bit hash of these texts; the length before each keeps ("a", "bc") apart from ("ab", "c")."""
    text = ""
    for part in parts:
        text += f"{len(part)}:{part}"
    return RowId(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest())
