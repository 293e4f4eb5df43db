"""The rows of the views as people are shown them. Times are aware, in UTC; `recipient` is E.164, or None."""

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


MESSAGE: Final = ", ".join(Message._fields)
_AS: Final = {"remote_addr": "host(remote_addr) AS remote_addr"}
REPORT: Final = ", ".join(_AS.get(name, name) for name in Report._fields)
SUBMISSION: Final = ", ".join(_AS.get(name, name) for name in Submission._fields)
"""The columns, for SELECT."""


def explained(provider: str, code: str | None) -> Code | None:
    """The catalogue's row for a code, by itself or by its pattern."""
    return catalogue.lookup(provider, code) if code else None


def message(row: "asyncpg.Record | dict[str, Any]") -> Message:
    """From a row with these columns."""
    return Message(*(row[name] for name in Message._fields))
