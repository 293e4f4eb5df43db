"""Columns for the statements beside the main one: envelopes, replies, submissions, rejected payloads. Pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from receiver.providers import url_path
from receiver.report import RowId
from receiver.store.batch import Batch

Columns = list[tuple[Any, ...]]


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
