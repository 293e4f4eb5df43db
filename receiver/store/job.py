"""The rows of one callback, and the result of storing them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from receiver.inbound import Inbound
from receiver.report import DeliveryReport, ProviderName, Reply, RowId, Submission, content_id


class Job(NamedTuple):
    """One callback's rows: committed together, or isolated from each other if one of them is poison. Made by `job_of`.

    With an `error`, the body is kept as a rejected payload beside the rows that could be parsed. `ids` are the
    identities of all rows except the rejected payload; `size` is the number of all rows.
    """

    callback: Inbound
    provider: ProviderName
    reports: Sequence[DeliveryReport]
    replies: Sequence[Reply]
    submissions: Sequence[Submission]
    error: str | None
    ids: Sequence[RowId]
    size: int

    def only(
        self,
        *,
        reports: Sequence[DeliveryReport] = (),
        replies: Sequence[Reply] = (),
        submissions: Sequence[Submission] = (),
        error: str | None = None,
    ) -> "Job":
        """A job of the same callback with these rows and no others."""
        return job_of(self.callback, self.provider, reports, replies, submissions, error)

    def without_rejected(self) -> "Job":
        """The job without its rejected payload."""
        return self.only(reports=self.reports, replies=self.replies, submissions=self.submissions)

    def rejection(self, why: str) -> "Job":
        """A job with the body as a rejected payload and no other row."""
        return self.only(error=why)

    @property
    def rejected_id(self) -> RowId:
        """Identity of the rejected payload: the same callback, stored again after a crash, is the same row."""
        c = self.callback
        return content_id(c.path, c.received_at.isoformat(), c.request_id, self.error or "")

    def pieces(self) -> "list[Job]":
        """The job as single rows, to find the one that the database refuses."""
        return [
            *(self.only(reports=(report,)) for report in self.reports),
            *(self.only(replies=(reply,)) for reply in self.replies),
            *(self.only(submissions=(submission,)) for submission in self.submissions),
            *([self.only(error=self.error)] if self.error is not None else []),
        ]

    def parts(self, rows: int, size: int) -> "Iterator[Job]":
        """The job split into smaller ones of at most so many rows and bytes; a larger row becomes one by itself."""
        if self.size <= rows and len(self.callback.body) <= size:
            if self.size:
                yield self
            return
        first = taken = 0
        for at, report in enumerate(self.reports):
            weight = len(report.raw) + 2 * len(report.context or "")
            if at > first and (at - first >= rows or taken + weight > size):
                yield self.only(reports=self.reports[first:at])
                first, taken = at, 0
            taken += weight
        if self.reports:
            yield self.only(reports=self.reports[first:])
        for at in range(0, len(self.submissions), rows):
            yield self.only(submissions=self.submissions[at : at + rows])
        if self.replies or self.error is not None:
            yield self.only(replies=self.replies, error=self.error)


def job_of(
    callback: Inbound,
    provider: ProviderName,
    reports: Sequence[DeliveryReport] = (),
    replies: Sequence[Reply] = (),
    submissions: Sequence[Submission] = (),
    error: str | None = None,
) -> Job:
    """The job of a callback with these rows."""
    ids = [report.report_id for report in reports]
    if replies:
        ids += [reply.reply_id for reply in replies]
    if submissions:
        ids += [submission.submission_id for submission in submissions]
    return Job(callback, provider, reports, replies, submissions, error, ids, len(ids) + (error is not None))


@dataclass(slots=True)
class Receipt:
    """Result of a write: `stored` are new rows, `refused` are rows that the database refused, with the reason.

    Rows in neither were stored before. `dropped`: a rejected payload was not kept, because its quota is used up.
    """

    stored: set[RowId] = field(default_factory=set)
    refused: dict[RowId, str] = field(default_factory=dict)
    dropped: bool = False

    def add(self, other: "Receipt") -> None:
        """Add the result of another write of the same callback."""
        self.stored |= other.stored
        self.refused |= other.refused
        self.dropped |= other.dropped


class KeptIn(StrEnum):
    """Where a callback is kept; nowhere: it could not be parsed, and the quota of rejected payloads is used up."""

    DATABASE = "database"
    SPOOL = "spool"
    NOWHERE = "nowhere"


class Kept(NamedTuple):
    """Result of keeping a callback. For one in the spool the receipt is empty: its rows are not written yet."""

    kept_in: KeptIn
    receipt: Receipt
