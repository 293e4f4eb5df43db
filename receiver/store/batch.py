"""Rows of many callbacks arranged for one statement: one row a message, sorted, each list a column. Pure.

Sorted by key, because concurrent multi-row upserts in different orders deadlock; one row a message, because ON
CONFLICT DO UPDATE refuses to touch a row twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from receiver.callback import Callback
from receiver.providers import url_path
from receiver.report import RANK, DeliveryReport, Reply, Submission
from receiver.state import SUBMITTED, Part, merge_parts, message_state, part_of
from receiver.store.job import Job

Key = tuple[str, str, str]
Columns = list[tuple[Any, ...]]


@dataclass(slots=True)
class _Message:
    """What a batch tells of one message."""

    parts: dict[int, Part]
    ids: list[UUID]
    first: Callback
    last: Callback
    segments: int
    recipient: str | None
    country: str | None
    sender: str | None
    context: str | None
    submitted_at: datetime | None


@dataclass(slots=True)
class Batch:
    """What one flush writes."""

    messages: dict[Key, _Message] = field(default_factory=dict)
    reports: dict[UUID, tuple[DeliveryReport, Callback]] = field(default_factory=dict)
    replies: dict[UUID, tuple[Reply, Callback]] = field(default_factory=dict)
    submissions: dict[UUID, tuple[Submission, Callback]] = field(default_factory=dict)
    rejected: dict[UUID, Job] = field(default_factory=dict)


def arrange(jobs: Iterable[Job]) -> Batch:
    """All that the jobs want to store, each row once."""
    batch = Batch()
    for job in jobs:
        for report in job.reports:
            if report.report_id not in batch.reports:
                batch.reports[report.report_id] = (report, job.callback)
                segment, part = part_of(report)
                _tell(batch, report, report.report_id, {segment: part}, job.callback)
        for reply in job.replies:
            batch.replies.setdefault(reply.reply_id, (reply, job.callback))
        for submission in job.submissions:
            _add_submission(batch, submission, job.callback)
        if job.error is not None:
            batch.rejected[job.rejected_id] = job
    return batch


def keys(batch: Batch) -> Iterator[tuple[UUID, Key]]:
    """The message of each report and submission."""
    for row_id, (report, _) in batch.reports.items():
        yield row_id, (report.message_id, report.provider, report.recipient_key)
    for row_id, (submission, _) in batch.submissions.items():
        yield row_id, (submission.message_id, submission.provider, submission.recipient_key)


def _add_submission(batch: Batch, submission: Submission, callback: Callback) -> None:
    """Where the platform's answer names no time, it was handed over at once: that is the time."""
    submission_id = submission.submission_id
    if submission_id in batch.submissions:
        return
    submitted_at = submission.submitted_at or callback.received_at
    submission = replace(submission, submitted_at=submitted_at)
    batch.submissions[submission_id] = (submission, callback)
    status, reason = submission.status, submission.reason or ""
    part = Part(RANK[status], submitted_at.astimezone(UTC).isoformat(), submission.code, status.value, reason)
    _tell(batch, submission, submission_id, {SUBMITTED: part}, callback, submitted_at)


def _tell(
    batch: Batch,
    one: DeliveryReport | Submission,
    row_id: UUID,
    parts: dict[int, Part],
    callback: Callback,
    submitted_at: datetime | None = None,
) -> None:
    """Merge what one report or submission tells into its message."""
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
    known.submitted_at = min(filter(None, (known.submitted_at, submitted_at)), default=None)


def _arrival(callback: Callback) -> float:
    return callback.received_at.timestamp()


def _greatest(one: str | None, other: str | None) -> str | None:
    """As SQL's greatest(): which of two answers is kept must not depend on their order."""
    return max(filter(None, (one, other)), default=None)


def message_columns(batch: Batch) -> Columns:
    """The columns of `sql.UPSERT_MESSAGES`, sorted by key."""
    rows = []
    for key in sorted(batch.messages):
        m = batch.messages[key]
        state = message_state(m.parts, m.segments)
        rows.append(
            (
                *key,
                m.recipient,
                m.country,
                m.sender,
                state.status.value,
                state.reason and state.reason.value,
                state.code,
                state.happened_at,
                state.segments,
                state.segments_reported,
                m.context,
                m.first.received_at,
                m.last.received_at,
                m.submitted_at,
                orjson.dumps({str(segment): [*part] for segment, part in m.parts.items()}).decode(),
                f"{{{','.join(map(str, m.ids))}}}",
            )
        )
    return list(zip(*rows, strict=True))


def report_columns(batch: Batch, ids: Iterable[UUID]) -> Columns:
    """The columns of `sql.INSERT_REPORTS` for these reports."""
    rows = []
    for report_id in ids:
        r, callback = batch.reports[report_id]
        rows.append(
            (
                report_id,
                r.message_id,
                r.provider,
                r.recipient,
                r.country,
                r.sender,
                r.segment,
                r.segments,
                r.status.value,
                r.reason and r.reason.value,
                r.code,
                r.detail,
                r.operator_code,
                r.reported_by,
                r.context,
                r.happened_at,
                callback.received_at,
                callback.remote_addr,
                r.raw,
            )
        )
    return list(zip(*rows, strict=True))


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


def submission_columns(batch: Batch, ids: Iterable[UUID]) -> Columns:
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
        path = url_path(c.path)
        rows.append((rejected_id, job.provider, path, c.received_at, job.error, c.content_type, c.body, c.remote_addr))
    return list(zip(*rows, strict=True))
