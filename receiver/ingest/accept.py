"""The central act: an inbound is parsed, kept and logged, and its outcome decides the answer.

Callbacks, submissions, pulled answers and replayed payloads all come through here. The drain takes the same steps for
many inbounds at a time.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from receiver.inbound import Inbound
from receiver.ingest.understand import parse_inbound
from receiver.store.durable import StoreUnavailable
from receiver.store.job import Job, Kept, KeptIn

Keep = Callable[[Job], Awaitable[Kept]]
"""Keeps a job on a disk. Raises StoreUnavailable."""

Observe = Callable[[Job, Kept], Awaitable[None]]
"""Logs and counts the job's rows."""


class Outcome(NamedTuple):
    """The result of an inbound. Rows are counted by identity: a body may contain the same report more than once.

    `rows` counts its reports, replies and submissions; `stored` those new in the database, `refused` those that the
    database refused; both are 0 for an inbound in the spool. `expected_path` is the right path of a body that was sent
    to another; `answer_context` has fields to repeat in the answer; `error` says why some of the body could not be
    parsed, `refusal` why the database refused rows. `good`: at least one row was parsed and not refused.
    """

    kept_in: KeptIn
    rows: int
    stored: int
    refused: int
    expected_path: str | None
    answer_context: Mapping[str, object]
    error: str | None
    refusal: str | None
    good: bool

    @property
    def duplicates(self) -> int:
        """Number of rows that were in the database before."""
        return self.rows - self.stored - self.refused if self.kept_in is KeptIn.DATABASE else 0


@dataclass(frozen=True, slots=True)
class Ingest:
    """The act, with the functions that keep a job and log it."""

    keep: Keep
    observe: Observe

    async def accept(self, inbound: Inbound) -> Outcome:
        """Returns once the inbound is on a disk and logged. Raises StoreUnavailable, with the answer's context."""
        parsed, job = await parse_inbound(inbound)
        try:
            kept_in, receipt = kept = await self.keep(job)
        except StoreUnavailable as error:
            error.answer_context = parsed.answer_context
            raise
        await self.observe(job, kept)
        rows, refused = len(set(job.ids)), len(receipt.refused)
        return Outcome(
            kept_in=kept_in,
            rows=rows,
            stored=len(receipt.stored),
            refused=refused,
            expected_path=parsed.expected_path if rows else None,
            answer_context=parsed.answer_context,
            error=job.error,
            refusal="; ".join(sorted(set(receipt.refused.values()))) if refused else None,
            good=rows > refused,
        )
