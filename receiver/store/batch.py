"""Reports of many callbacks arranged for one statement: one row a message, sorted, each list a column. Pure.

Sorted by key, because concurrent multi-row upserts in different orders deadlock; one row a message, because ON
CONFLICT DO UPDATE refuses to touch a row twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from receiver.callback import Callback
from receiver.report import DeliveryReport, Reply
from receiver.state import Part, merge_parts, message_state, part_of
from receiver.store.job import Job

Key = tuple[str, str, str]
Columns = list[tuple[Any, ...]]


@dataclass(slots=True)
class _Message:
    """The reports of one message within a batch."""

    parts: dict[int, Part]
    ids: list[UUID]
    first: Callback
    last: Callback
    segments: int
    recipient: str | None
    country: str | None
    sender: str | None
    context: str | None


@dataclass(slots=True)
class Batch:
    """What one flush writes."""

    messages: dict[Key, _Message] = field(default_factory=dict)
    reports: dict[UUID, tuple[DeliveryReport, Callback]] = field(default_factory=dict)
    replies: dict[UUID, tuple[Reply, Callback]] = field(default_factory=dict)
    rejected: dict[UUID, Job] = field(default_factory=dict)


def arrange(jobs: Iterable[Job]) -> Batch:
    """All that the jobs want to store, each report and reply once."""
    batch = Batch()
    for job in jobs:
        for report in job.reports:
            _add(batch, report, job.callback)
        for reply in job.replies:
            batch.replies.setdefault(reply.reply_id, (reply, job.callback))
        if job.error is not None:
            batch.rejected[job.rejected_id] = job
    return batch


def _add(batch: Batch, report: DeliveryReport, callback: Callback) -> None:
    report_id = report.report_id
    if report_id in batch.reports:
        return
    batch.reports[report_id] = (report, callback)
    segment, part = part_of(report)
    key = (report.message_id, report.provider, report.recipient_key)
    known = batch.messages.get(key)
    if known is None:
        batch.messages[key] = _Message(
            {segment: part},
            [report_id],
            callback,
            callback,
            report.segments or 1,
            report.recipient,
            report.country,
            report.sender,
            report.context,
        )
        return
    known.parts = merge_parts(known.parts, {segment: part})
    known.ids.append(report_id)
    known.first = min(known.first, callback, key=_arrival)
    known.last = max(known.last, callback, key=_arrival)
    known.segments = max(known.segments, report.segments or 1)
    known.recipient = _greatest(known.recipient, report.recipient)
    known.country = _greatest(known.country, report.country)
    known.sender = _greatest(known.sender, report.sender)
    known.context = _greatest(known.context, report.context)


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


def rejected_columns(batch: Batch) -> Columns:
    """The columns of `sql.INSERT_REJECTED`."""
    rows = []
    for rejected_id, job in batch.rejected.items():
        c = job.callback
        path = f"/callback/{c.path}"
        rows.append((rejected_id, job.provider, path, c.received_at, job.error, c.content_type, c.body, c.remote_addr))
    return list(zip(*rows, strict=True))
