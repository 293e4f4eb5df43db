"""Rows of many callbacks for one transaction: each row once, and one row per message. Pure.

One row per message, because ON CONFLICT DO UPDATE must not touch a row twice. Concurrent statements in different orders
deadlock: messages are sorted by key in `sms_data.store_reports`, replies here.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from receiver.inbound import Inbound
from receiver.providers import url_path
from receiver.report import RANK, DeliveryReport, Reply, RowId, Submission
from receiver.state import SUBMITTED, SegmentState, merge_parts, message_state, segment_state
from receiver.store.job import Job

Key = tuple[str, str, str]
Columns = list[tuple[Any, ...]]
S = TypeVar("S", bound=str)


@dataclass(slots=True)
class _Message:
    """The merged fields of one message in a batch."""

    parts: dict[int, SegmentState]
    ids: list[RowId]
    first: Inbound
    last: Inbound
    segments: int
    recipient: str | None
    country: str | None
    sender: str | None
    context: str | None
    submitted_at: datetime | None
    envelope_id: RowId | None


@dataclass(slots=True)
class Batch:
    """The rows of one flush."""

    messages: dict[Key, _Message] = field(default_factory=dict)
    reports: dict[RowId, tuple[DeliveryReport, Inbound]] = field(default_factory=dict)
    replies: dict[RowId, tuple[Reply, Inbound]] = field(default_factory=dict)
    submissions: dict[RowId, tuple[Submission, Inbound]] = field(default_factory=dict)
    rejected: dict[RowId, Job] = field(default_factory=dict)
    has_envelopes: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.messages or self.replies or self.rejected)

    @property
    def reports_alone(self) -> bool:
        """Whether it consists of delivery reports without envelopes, as nearly every batch does."""
        return bool(self.reports) and not (self.replies or self.submissions or self.rejected or self.has_envelopes)


def arrange(jobs: Iterable[Job]) -> Batch:
    """The rows of all jobs, each once."""
    batch = Batch()
    for job in jobs:
        for report in job.reports:
            if report.report_id not in batch.reports:
                batch.reports[report.report_id] = (report, job.callback)
                segment, part = segment_state(report)
                batch.has_envelopes |= report.envelope is not None
                envelope_id = report.envelope.envelope_id if report.envelope else None
                merge_into_message(
                    batch, report, report.report_id, {segment: part}, job.callback, envelope_id=envelope_id
                )
        for reply in job.replies:
            batch.replies.setdefault(reply.reply_id, (reply, job.callback))
        for submission in job.submissions:
            _add_submission(batch, submission, job.callback)
        if job.error is not None:
            batch.rejected[job.rejected_id] = job
    return batch


def _add_submission(batch: Batch, submission: Submission, callback: Inbound) -> None:
    """Add a submission; an answer without a time gets that of its arrival, as it is posted at once."""
    submission_id = submission.submission_id
    if submission_id in batch.submissions:
        return
    submitted_at = submission.submitted_at or callback.received_at
    submission = replace(submission, submitted_at=submitted_at)
    batch.submissions[submission_id] = (submission, callback)
    status, reason = submission.status, submission.reason or ""
    part = SegmentState(RANK[status], submitted_at.astimezone(UTC).isoformat(), submission.code, status.value, reason)
    merge_into_message(batch, submission, submission_id, {SUBMITTED: part}, callback, submitted_at=submitted_at)


def merge_into_message(
    batch: Batch,
    one: DeliveryReport | Submission,
    row_id: RowId,
    parts: dict[int, SegmentState],
    callback: Inbound,
    *,
    submitted_at: datetime | None = None,
    envelope_id: RowId | None = None,
) -> None:
    """Merge one report or submission into its message."""
    key = (one.message_id, one.provider, one.recipient_key)
    known = batch.messages.get(key)
    if known is None:
        batch.messages[key] = _Message(
            parts,
            [row_id],
            callback,
            callback,
            one.segments or 1,
            one.recipient,
            one.country,
            one.sender,
            one.context,
            submitted_at,
            envelope_id,
        )
        return
    known.parts = merge_parts(known.parts, parts)
    known.ids.append(row_id)
    known.first = min(known.first, callback, key=_arrival)
    known.last = max(known.last, callback, key=_arrival)
    known.segments = max(known.segments, one.segments or 1)
    known.recipient = _greatest(known.recipient, one.recipient)
    known.country = _greatest(known.country, one.country)
    known.sender = _greatest(known.sender, one.sender)
    known.context = _greatest(known.context, one.context)
    known.envelope_id = _greatest(known.envelope_id, envelope_id)
    known.submitted_at = min(filter(None, (known.submitted_at, submitted_at)), default=None)


def _arrival(callback: Inbound) -> float:
    return callback.received_at.timestamp()


def _greatest(one: S | None, other: S | None) -> S | None:
    """As SQL's greatest(): the result must not depend on the order of arrival."""
    return max(filter(None, (one, other)), default=None)


def message_rows(batch: Batch) -> bytes:
    """The messages for `sms_data.store_reports`: a JSON array, one object per message."""
    return orjson.dumps([_message(key, message) for key, message in batch.messages.items()])


def _message(key: Key, message: _Message) -> dict[str, object]:
    state = message_state(message.parts, message.segments)
    row: dict[str, object] = {
        "message_id": key[0],
        "provider": key[1],
        "recipient_key": key[2],
        "recipient": message.recipient,
        "country": message.country,
        "sender": message.sender,
        "status": state.status,
        "reason": state.reason,
        "code": state.code,
        "happened_at": state.happened_at,
        "segments": state.segments,
        "segments_reported": state.segments_reported,
        "context": message.context,
        "first_received_at": message.first.received_at,
        "last_received_at": message.last.received_at,
        "submitted_at": message.submitted_at,
        "parts": {str(segment): [*part] for segment, part in message.parts.items()},
        "seen": message.ids,
    }
    if message.envelope_id:
        row["envelope_id"] = message.envelope_id
    return row


def report_rows(batch: Batch) -> bytes:
    """The reports for `sms_data.store_reports`: a JSON array, one object per report."""
    return orjson.dumps([_report(report, callback) for report, callback in batch.reports.values()])


def _report(r: DeliveryReport, callback: Inbound) -> dict[str, object]:
    row: dict[str, object] = {
        "report_id": r.report_id,
        "message_id": r.message_id,
        "provider": r.provider,
        "recipient": r.recipient,
        "country": r.country,
        "sender": r.sender,
        "segment": r.segment,
        "segments": r.segments,
        "status": r.status,
        "reason": r.reason,
        "code": r.code,
        "detail": r.detail,
        "operator_code": r.operator_code,
        "reported_by": r.reported_by,
        "context": r.context and orjson.Fragment(r.context),
        "happened_at": r.happened_at,
        "received_at": callback.received_at,
        "remote_addr": callback.remote_addr,
        "raw": orjson.Fragment(r.raw),
    }
    if r.envelope:
        row["envelope_id"] = r.envelope.envelope_id
    return row


def envelope_columns(batch: Batch, stored: AbstractSet[RowId]) -> Columns:
    """The columns of `sql.INSERT_ENVELOPES`: each envelope of a new report once, sorted by key."""
    rows = {}
    for report_id in batch.reports.keys() & stored:
        r, callback = batch.reports[report_id]
        if r.envelope:
            key = (r.message_id, r.provider, r.envelope.envelope_id)
            rows[key] = (*key, callback.received_at, r.envelope.context, r.envelope.raw)
    return list(zip(*(rows[key] for key in sorted(rows)), strict=True))


def reply_columns(batch: Batch) -> Columns:
    """The columns of `sql.INSERT_REPLIES`, sorted by key."""
    rows = []
    for reply_id in sorted(batch.replies):
        r, callback = batch.replies[reply_id]
        rows.append(
            (
                reply_id,
                r.provider,
                r.message_id,
                r.sender,
                r.recipient,
                r.body,
                r.sign,
                r.extend,
                r.sent_at,
                callback.received_at,
                callback.remote_addr,
                r.raw,
            )
        )
    return list(zip(*rows, strict=True))


def submission_columns(batch: Batch, ids: Iterable[RowId]) -> Columns:
    """The columns of `sql.INSERT_SUBMISSIONS` for these submissions."""
    rows = []
    for submission_id in ids:
        s, callback = batch.submissions[submission_id]
        rows.append(
            (
                submission_id,
                s.message_id,
                s.provider,
                s.recipient,
                s.country,
                s.sender,
                s.segments,
                s.fee,
                s.status.value,
                s.reason and s.reason.value,
                s.code,
                s.detail,
                callback.correlation,
                s.context,
                s.submitted_at,
                callback.received_at,
                callback.remote_addr,
                s.raw,
            )
        )
    return list(zip(*rows, strict=True))


def rejected_columns(batch: Batch) -> Columns:
    """The columns of `sql.INSERT_REJECTED`."""
    rows = []
    for rejected_id, job in batch.rejected.items():
        c = job.callback
        rows.append(
            (
                rejected_id,
                job.provider,
                url_path(c.target),
                c.received_at,
                job.error,
                c.content_type,
                c.body,
                c.remote_addr,
                c.correlation,
            )
        )
    return list(zip(*rows, strict=True))
