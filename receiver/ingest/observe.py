"""One log line and one count for each report, after it has been kept (design, section 6)."""

import asyncio
from collections.abc import Sequence

from receiver.inbound import Inbound
from receiver.ingest.accept import TURN
from receiver.ingest.recent import Recent
from receiver.providers import url_path
from receiver.report import DeliveryReport, Reason, Reply, RowId, Status, Submission
from receiver.store.job import Job, Kept, KeptIn
from receiver.telemetry.limited_log import LimitedLog
from receiver.telemetry.logs import get_logger
from receiver.telemetry.masking import mask_msisdn
from receiver.telemetry.metrics import Metrics
from receiver.telemetry.redaction import report_line

log = get_logger()
dropped = LimitedLog()


async def observe(job: Job, kept: Kept, metrics: Metrics, recent: Recent) -> None:
    """Log, count and remember every report, reply, submission and rejected payload of the job."""
    counted: set[RowId] = set()
    for at in range(0, len(job.reports), TURN):
        if at:
            await asyncio.sleep(0)  # yield to other callbacks
        _reports(job, job.reports[at : at + TURN], kept, metrics, counted, recent)
    for reply in job.replies:
        _reply(job, reply, kept, metrics, recent)
    for at, submission in enumerate(job.submissions, start=1):
        _submission(job, submission, kept, metrics, counted, recent)
        if at % TURN == 0:
            await asyncio.sleep(0)
    if job.error is not None and kept.kept_in is not KeptIn.SPOOL:
        _rejected(job, job.error, kept, metrics, recent)


def _reports(
    job: Job,
    reports: Sequence[DeliveryReport],
    kept: Kept,
    metrics: Metrics,
    counted: set[RowId],
    recent: Recent,
) -> None:
    """Log, count and remember some reports. `counted` are those counted as stored: a report may come twice."""
    received_at = job.callback.received_at
    new, refused = kept.receipt.stored, kept.receipt.refused
    spooled = kept.kept_in is KeptIn.SPOOL
    stored: dict[tuple[Status, Reason | None], int] = {}
    for report in reports:
        report_id = report.report_id
        if report_id in refused:
            _rejected(job, refused[report_id], kept, metrics, recent)
            continue
        happened = report.happened_at
        lag_s = round((received_at - happened).total_seconds(), 3) if happened else None
        if spooled:
            event = "report.spooled"
        elif report_id in new and report_id not in counted:
            event = "report.stored"
            counted.add(report_id)
            meaning = report.status, report.reason
            stored[meaning] = stored.get(meaning, 0) + 1
            if lag_s is not None:
                metrics.report_lag(report.provider, lag_s)
        else:
            event = "report.duplicate"
            metrics.report_duplicate(report.provider)
        recent.report(event, report, received_at, lag_s)
        _report(event, report, lag_s, job.callback)
    for (status, reason), number in stored.items():
        metrics.reports_stored(job.provider, status, reason, number)


def _report(event: str, report: DeliveryReport, lag_s: float | None, callback: Inbound) -> None:
    recipient = report.recipient and mask_msisdn(report.recipient)
    if report_line(event, report, recipient, lag_s, callback.request_id, callback.remote_addr):
        return
    log.info(
        event,
        provider=report.provider,
        message_id=report.message_id,
        status=report.status.value,
        reason=report.reason and report.reason.value,
        code=report.code,
        recipient=recipient,
        lag_s=lag_s,
        request_id=callback.request_id,
        remote=callback.remote_addr,
    )


def _reply(job: Job, reply: Reply, kept: Kept, metrics: Metrics, recent: Recent) -> None:
    stored = reply.reply_id in kept.receipt.stored
    if stored:
        metrics.reply_stored(reply.provider)
    event = "reply.spooled" if kept.kept_in is KeptIn.SPOOL else "reply.stored" if stored else "reply.duplicate"
    recent.reply(event, reply, job.callback.received_at)
    log.info(
        event,
        provider=reply.provider,
        message_id=reply.message_id,
        sender=mask_msisdn(reply.sender),
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )


def _submission(
    job: Job, submission: Submission, kept: Kept, metrics: Metrics, counted: set[RowId], recent: Recent
) -> None:
    stored = submission.submission_id in kept.receipt.stored and submission.submission_id not in counted
    if why := kept.receipt.refused.get(submission.submission_id):
        _rejected(job, why, kept, metrics, recent)
        return
    if stored:
        counted.add(submission.submission_id)
        metrics.submission_stored(submission.provider, submission.status)
    spooled = kept.kept_in is KeptIn.SPOOL
    event = "submission.spooled" if spooled else "submission.stored" if stored else "submission.duplicate"
    recent.submission(event, submission, job.callback.received_at)
    log.info(
        event,
        provider=submission.provider,
        message_id=submission.message_id,
        status=submission.status.value,
        reason=submission.reason and submission.reason.value,
        code=submission.code,
        recipient=mask_msisdn(submission.recipient),
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )


def _rejected(job: Job, error: str, kept: Kept, metrics: Metrics, recent: Recent) -> None:
    """Log each rejected payload that is kept; dropped ones, which may be a flood, at a limited rate."""
    metrics.payload_rejected(job.provider, "item" if job.ids else "payload")
    recent.rejected(job.provider, error, job.callback.received_at)
    write_line = dropped.warning if kept.receipt.dropped else log.warning
    write_line(
        "payload.rejected",
        provider=job.provider,
        path=url_path(job.callback.path),
        error=error,
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )
