"""The rows of one callback, and the result of storing them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from receiver.inbound import Inbound
from receiver.report import DeliveryReport, ProviderName, Reply, RowId, Submission, content_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One callback's rows: committed together, or isolated from each other if one of them is poison.

    With an `error`, the body is kept as a rejected payload beside the rows that could be parsed.
    """

    callback: Inbound
    provider: ProviderName
    reports: Sequence[DeliveryReport] = ()
    replies: Sequence[Reply] = ()
    submissions: Sequence[Submission] = ()
    error: str | None = None

    ids: Sequence[RowId] = field(init=False)
    """The identities of all rows except the rejected payload."""

    size: int = field(init=False)
    """Number of rows."""

    def __post_init__(self) -> None:
        """Collect the ids once: every later step uses them."""
        ids = [report.report_id for report in self.reports]
        if self.replies:
            ids += [reply.reply_id for reply in self.replies]
        if self.submissions:
            ids += [submission.submission_id for submission in self.submissions]
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "size", len(ids) + (self.error is not None))

    def rejection(self, why: str) -> "Job":
        """A job with the body as a rejected payload and no other row."""
        return replace(self, reports=(), replies=(), submissions=(), error=why)

    @property
    def rejected_id(self) -> RowId:
        """Identity of the rejected payload: the same callback, stored again after a crash, is the same row."""
        c = self.callback
        return content_id(c.path, c.received_at.isoformat(), c.request_id, self.error or "")

    def pieces(self) -> "list[Job]":
        """The job as single rows, to find the one that the database refuses."""
        alone = replace(self, reports=(), replies=(), submissions=(), error=None)
        return [
            *(replace(alone, reports=(report,)) for report in self.reports),
            *(replace(alone, replies=(reply,)) for reply in self.replies),
            *(replace(alone, submissions=(submission,)) for submission in self.submissions),
            *([replace(alone, error=self.error)] if self.error is not None else []),
        ]

    def parts(self, rows: int, size: int) -> "Iterator[Job]":
        """The job split into smaller ones of at most so many rows and bytes; a larger row becomes one by itself."""
        if self.size <= rows and len(self.callback.body) <= size:
            if self.size:
                yield self
            return
        first = taken = 0
        alone = replace(self, replies=(), submissions=(), error=None)
        for at, report in enumerate(self.reports):
            weight = len(report.raw) + 2 * len(report.context or "")
            if at > first and (at - first >= rows or taken + weight > size):
                yield replace(alone, reports=self.reports[first:at])
                first, taken = at, 0
            taken += weight
        if self.reports:
            yield replace(alone, reports=self.reports[first:])
        alone = replace(alone, reports=())
        for at in range(0, len(self.submissions), rows):
            yield replace(alone, submissions=self.submissions[at : at + rows])
        if self.replies or self.error is not None:
            yield replace(self, reports=(), submissions=())


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
