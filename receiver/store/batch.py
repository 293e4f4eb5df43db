"""Rows of many callbacks for one transaction: each row once, and one row per message. Pure.

One row per message, because ON CONFLICT must not touch a row twice. Concurrent statements in different orders deadlock:
messages are sorted by key, as PostgreSQL sorts with the collation "C".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from receiver.inbound import Inbound
from receiver.report import RANK, DeliveryReport, Reply, RowId, Submission
from receiver.state import SUBMITTED, WHOLE_MESSAGE, Parts, SegmentState, merge_parts, message_state, segment_state
from receiver.store.job import Job

Key = tuple[str, str, str]
Row = tuple[Any, ...]
S = TypeVar("S", bound=str)


@dataclass(slots=True)
class Batch:
    """The rows of one flush; `messages` has the ids of the reports and submissions of each message."""

    messages: dict[Key, list[RowId]] = field(default_factory=dict)
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
            _add_report(batch, report, job.callback)
        for reply in job.replies:
            batch.replies.setdefault(reply.reply_id, (reply, job.callback))
        for submission in job.submissions:
            _add_submission(batch, submission, job.callback)
        if job.error is not None:
            batch.rejected[job.rejected_id] = job
    return batch


def _add_report(batch: Batch, report: DeliveryReport, callback: Inbound) -> None:
    report_id = report.report_id
    if report_id in batch.reports:
        return
    batch.reports[report_id] = (report, callback)
    batch.messages.setdefault((report.message_id, report.provider, report.recipient_key), []).append(report_id)
    if report.envelope is not None:
        batch.has_envelopes = True


def _add_submission(batch: Batch, submission: Submission, callback: Inbound) -> None:
    """Add a submission; an answer without a time gets that of its arrival, as it is posted at once."""
    submission_id = submission.submission_id
    if submission_id in batch.submissions:
        return
    submission = replace(submission, submitted_at=submission.submitted_at or callback.received_at)
    batch.submissions[submission_id] = (submission, callback)
    key = (submission.message_id, submission.provider, submission.recipient_key)
    batch.messages.setdefault(key, []).append(submission_id)


@dataclass(slots=True)
class Incoming:
    """The arrays that `sms_data.store_reports` takes, in the order of its parameters."""

    lone: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    reports: list[Row] = field(default_factory=list)


def incoming(batch: Batch) -> Incoming:
    """The messages of a batch and their reports, sorted by key."""
    rows = Incoming()
    for key in sorted(batch.messages):
        ids = batch.messages[key]
        if len(ids) == 1 and (known := batch.reports.get(ids[0])) is not None and _tells_all(known[0]):
            rows.lone.append(_report(*known))
        else:
            rows.messages.append(_message(key, batch, ids))
            rows.reports += [_report(*batch.reports[report_id]) for report_id in ids if report_id in batch.reports]
    return rows


def _tells_all(report: DeliveryReport) -> bool:
    """Whether the state of the message is that of the report: it is about the whole message or its only segment."""
    return not report.segment or (report.segment == 1 and (report.segments or 1) == 1)


def _report(r: DeliveryReport, callback: Inbound) -> Row:
    """An `sms_data.incoming_report`."""
    return (
        r.report_id,
        r.message_id,
        r.provider,
        r.recipient_key,
        r.status,
        r.reason,
        r.code,
        r.happened_at,
        r.sequence or None,
        r.segment,
        r.segments,
        r.recipient,
        r.country,
        r.sender,
        r.detail,
        r.operator_code,
        r.reported_by,
        r.context,
        r.envelope and r.envelope.envelope_id,
        callback.received_at,
        callback.remote_addr,
        r.raw,
    )


def _message(key: Key, batch: Batch, ids: Sequence[RowId]) -> Row:
    """An `sms_data.incoming_message`: several reports and submissions, merged."""
    told: list[DeliveryReport | Submission] = []
    arrivals: list[datetime] = []
    parts: Parts = {}
    for row_id in ids:
        if row_id in batch.reports:
            report, callback = batch.reports[row_id]
            segment, state = segment_state(report)
            parts = merge_parts(parts, {segment: state})
            told.append(report)
        else:
            submission, callback = batch.submissions[row_id]
            parts = merge_parts(parts, {SUBMITTED: _submitted(submission)})
            told.append(submission)
        arrivals.append(callback.received_at)
    message = message_state(parts, max(one.segments or 1 for one in told))
    part, sequence = _only_part(parts, message.segments)
    first, last = min(arrivals), max(arrivals)
    return (
        *key,
        message.status,
        message.reason,
        message.code,
        message.happened_at,
        sequence,
        message.segments,
        message.segments_reported,
        _greatest(one.recipient for one in told),
        _greatest(one.country for one in told),
        _greatest(one.sender for one in told),
        _greatest(one.context for one in told),
        _greatest(one.envelope.envelope_id for one in told if isinstance(one, DeliveryReport) and one.envelope),
        first,
        last if last > first else None,
        min((one.submitted_at for one in told if isinstance(one, Submission) and one.submitted_at), default=None),
        part,
        None if part is not None else orjson.dumps({str(n): [*state] for n, state in parts.items()}).decode(),
        ids[0] if len(ids) == 1 else None,
        ids if len(ids) > 1 else None,
    )


def _only_part(parts: Parts, segments: int) -> tuple[int | None, int | None]:
    """The key of the only part if the message's state is that part's, and the sequence of the state."""
    _, _, sequence = max(parts.values()).happened.partition("#")
    if len(parts) == 1 and (segments == 1 or max(parts) <= WHOLE_MESSAGE):
        return next(iter(parts)), int(sequence or 0) or None
    return None, (int(sequence or 0) or None) if segments == 1 else None


def _submitted(submission: Submission) -> SegmentState:
    at = submission.submitted_at.astimezone(UTC).isoformat() if submission.submitted_at else ""
    status = submission.status
    return SegmentState(RANK[status], at, submission.code, status.value, submission.reason or "")


def _greatest(values: Iterable[S | None]) -> S | None:
    """As SQL's greatest(): the result must not depend on the order of arrival."""
    return max(filter(None, values), default=None)
