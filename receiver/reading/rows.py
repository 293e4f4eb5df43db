"""The rows of the views as people are shown them. Times are aware, in UTC; `recipient` is E.164, or None."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from receiver import catalogue
from receiver.catalogue import Code
from receiver.telemetry.masking import mask_msisdn


class Message(NamedTuple):
    """A row of `sms.message`, without its context."""

    provider: str
    message_id: str
    recipient: str | None
    country: str | None
    sender: str | None
    status: str
    reason: str | None
    final: bool
    code: str | None
    segments: int | None
    segments_reported: int
    happened_at: datetime | None
    first_received_at: datetime
    last_received_at: datetime
    submitted_at: datetime | None
    delivery_s: float | None

    def masked(self) -> "Message":
        """With the recipient's number masked."""
        return self._replace(recipient=mask_msisdn(self.recipient))

    @property
    def explained(self) -> Code | None:
        """What the catalogue says about the code."""
        return explained(self.provider, self.code)


class Report(NamedTuple):
    """A row of `sms.delivery_report`; `raw` and `context` are JSON texts."""

    report_id: UUID
    provider: str
    message_id: str
    recipient: str | None
    country: str | None
    sender: str | None
    segment: int | None
    segments: int | None
    status: str
    reason: str | None
    final: bool
    code: str
    detail: str | None
    operator_code: str | None
    reported_by: str | None
    happened_at: datetime | None
    received_at: datetime
    remote_addr: str | None
    context: str | None
    raw: str

    def masked(self) -> "Report":
        """With the recipient's number masked, and without the platform's own words, which repeat it."""
        return self._replace(recipient=mask_msisdn(self.recipient), context=None, raw="{}")

    @property
    def explained(self) -> Code | None:
        """What the catalogue says about the code."""
        return explained(self.provider, self.code)


class Submission(NamedTuple):
    """A row of `sms.submission`; `raw` and `context` are JSON texts."""

    submission_id: UUID
    provider: str
    message_id: str
    recipient: str | None
    country: str | None
    sender: str | None
    segments: int | None
    fee: int | None
    status: str
    reason: str | None
    code: str
    detail: str | None
    correlation: str | None
    context: str | None
    submitted_at: datetime
    received_at: datetime
    remote_addr: str | None
    raw: str

    def masked(self) -> "Submission":
        """With the recipient's number masked, and without the platform's own words, which repeat it."""
        return self._replace(recipient=mask_msisdn(self.recipient), context=None, raw="{}")

    @property
    def explained(self) -> Code | None:
        """What the catalogue says about the code."""
        return explained(self.provider, self.code)


class Reply(NamedTuple):
    """A row of `sms.reply`: `sender` is the subscriber in E.164, `recipient` the channel's number."""

    reply_id: UUID
    provider: str
    message_id: str | None
    sender: str | None
    recipient: str | None
    body: str
    sign: str | None
    extend: str | None
    sent_at: datetime | None
    received_at: datetime
    remote_addr: str | None

    def masked(self) -> "Reply":
        """With the subscriber's number masked."""
        return self._replace(sender=mask_msisdn(self.sender))


class Rejected(NamedTuple):
    """A row of `sms.rejected_payload` without its body of `size` bytes."""

    rejected_id: UUID
    provider: str
    path: str
    received_at: datetime
    error: str
    content_type: str | None
    size: int
    remote_addr: str | None
    replayed_at: datetime | None


class Overdue(NamedTuple):
    """A row of `sms.overdue_message`."""

    provider: str
    message_id: str
    recipient: str | None
    country: str | None
    sender: str | None
    status: str
    submitted_at: datetime
    waiting_s: float
    expected_s: float
    rule: str

    def masked(self) -> "Overdue":
        """With the recipient's number masked."""
        return self._replace(recipient=mask_msisdn(self.recipient))


LISTED: Final = 1_000
"""Characters of such a text on a page. Platforms' are far shorter; a stranger may make one as long as a body."""

EXPORTED: Final = 40_000
"""Characters of such a text in a file: no message is longer, with 255 segments of 153 characters."""

_TEXTS: Final = ("detail", "operator_code", "reported_by", "body", "sign", "extend", "error")


def cut(most: int, names: Iterable[str] = _TEXTS) -> dict[str, str]:
    """How columns of text are spelled, with an ellipsis where they are longer than so many characters."""
    return {
        name: f"CASE WHEN length({name}) > {most} THEN left({name}, {most}) || '…' ELSE {name} END AS {name}"
        for name in names
    }


_SPELLED: Final = {"remote_addr": "host(remote_addr) AS remote_addr", "size": "octet_length(body) AS size"}
_BARE: Final = {"context": "NULL::text AS context", "raw": "'{}' AS raw"}
_CHANNEL: Final = ("recipient",)
"""Of a reply: the number that was written to, verbatim."""

AS: Final = _SPELLED | cut(LISTED)
_CONTEXT: Final = f"""
CASE WHEN octet_length(context::text) <= {EXPORTED} THEN context::text WHEN context IS NOT NULL
     THEN jsonb_build_object('(left out)', octet_length(context::text) || ' bytes')::text END AS context
"""
FILE: Final = _SPELLED | cut(EXPORTED, (*_TEXTS, *_CHANNEL)) | {"context": _CONTEXT}
BARE: Final = FILE | _BARE
"""How columns are spelled on a page and in a file, and in one without the JSON, which may be as large as a body."""


def columns_of(names: Iterable[str], spelled: Mapping[str, str] = AS) -> str:
    """The columns of these names, as they stand behind SELECT."""
    return ", ".join(spelled.get(name, name) for name in names)


MESSAGE: Final = columns_of(Message._fields)
REPORT: Final = columns_of(Report._fields)
REPORT_LISTED: Final = columns_of(Report._fields, AS | _BARE)
SUBMISSION: Final = columns_of(Submission._fields)
REPLY: Final = columns_of(Reply._fields, AS | cut(LISTED, _CHANNEL))
REJECTED: Final = columns_of(Rejected._fields)
OVERDUE: Final = columns_of(Overdue._fields)
"""A list of reports leaves their JSON out."""


def explained(provider: str, code: str | None) -> Code | None:
    """The catalogue's row for a code, by itself or by its pattern."""
    return catalogue.lookup(provider, code) if code else None


def message(row: "asyncpg.Record | dict[str, Any]") -> Message:
    """From a row with these columns."""
    return Message(*(row[name] for name in Message._fields))
