"""One log line and one count for each report, once it is known where it is kept (design, section 6)."""

from receiver.logs import get_logger
from receiver.masking import mask_msisdn
from receiver.metrics import Metrics
from receiver.providers import url_path
from receiver.report import DeliveryReport, Reply, RowId, Submission
from receiver.store.job import Job, Kept, Place

log = get_logger()


def record(job: Job, kept: Kept, metrics: Metrics) -> None:
    """Tell of every report, reply and rejected payload of the job what became of it."""
    told: set[RowId] = set()
    for report in job.reports:
        report_id = report.report_id
        _report(job, report, report_id, kept, metrics, again=report_id in told)
        told.add(report_id)
    for reply in job.replies:
        _reply(job, reply, kept, metrics)
    for submission in job.submissions:
        _submission(job, submission, kept, metrics)
    if job.error is not None and kept.place is Place.DATABASE:
        _rejected(job, job.error, metrics)


def _report(job: Job, report: DeliveryReport, report_id: RowId, kept: Kept, metrics: Metrics, *, again: bool) -> None:
    """`again`: the same report stood in the same body before."""
    if kept.place is Place.SPOOL:
        event = "report.spooled"
    elif report_id in kept.receipt.stored and not again:
        event = "report.stored"
        metrics.report_stored(report.provider, report.status, report.reason)
    elif report_id in kept.receipt.refused:
        _rejected(job, kept.receipt.refused[report_id], metrics)
        return
    else:
        event = "report.duplicate"
        metrics.report_duplicate(report.provider)
    received = job.callback.received_at
    log.info(
        event,
        provider=report.provider,
        message_id=report.message_id,
        status=report.status.value,
        reason=report.reason and report.reason.value,
        code=report.code,
        recipient=mask_msisdn(report.recipient),
        lag_s=round((received - report.happened_at).total_seconds(), 3) if report.happened_at else None,
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )


def _reply(job: Job, reply: Reply, kept: Kept, metrics: Metrics) -> None:
    stored = reply.reply_id in kept.receipt.stored
    if stored:
        metrics.reply_stored(reply.provider)
    spooled = kept.place is Place.SPOOL
    log.info(
        "reply.spooled" if spooled else "reply.stored" if stored else "reply.duplicate",
        provider=reply.provider,
        message_id=reply.message_id,
        sender=mask_msisdn(reply.sender),
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )


def _submission(job: Job, submission: Submission, kept: Kept, metrics: Metrics) -> None:
    stored = submission.submission_id in kept.receipt.stored
    if why := kept.receipt.refused.get(submission.submission_id):
        _rejected(job, why, metrics)
        return
    if stored:
        metrics.submission_stored(submission.provider, submission.status)
    spooled = kept.place is Place.SPOOL
    log.info(
        "submission.spooled" if spooled else "submission.stored" if stored else "submission.duplicate",
        provider=submission.provider,
        message_id=submission.message_id,
        status=submission.status.value,
        reason=submission.reason and submission.reason.value,
        code=submission.code,
        recipient=mask_msisdn(submission.recipient),
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )


def _rejected(job: Job, error: str, metrics: Metrics) -> None:
    metrics.payload_rejected(job.provider, "item" if job.ids else "payload")
    log.warning(
        "payload.rejected",
        provider=job.provider,
        path=url_path(job.callback.path),
        error=error,
        request_id=job.callback.request_id,
        remote=job.callback.remote_addr,
    )
