"""The central act: an inbound is parsed, kept and told of, and its outcome decides the answer.

Every way in comes through here: callbacks, submissions, pulled answers and replayed payloads. The drain takes the same
steps for many inbounds at a time.
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
    """The end of an inbound. Rows are counted by identity: the same report may stand in a body more than once.

    `rows` are the reports, replies and submissions in it; `stored` are new in the database, `refused` it refuses. In
    the spool nothing is known of them yet. `expected_path` is the path that the body belongs to, where it came to
    another; `answer_context` is repeated in the answer; `error` says why something was not understood, `refusal` why
    the database refuses rows. The answer is the good one if something was understood and the database does not refuse
    all of it.
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
        """Rows that were in the database before."""
        return self.rows - self.stored - self.refused if self.kept_in is KeptIn.DATABASE else 0


@dataclass(frozen=True, slots=True)
class Ingest:
    """The act, with a place to keep inbounds and somebody to tell."""

    keep: Keep
    observe: Observe

    async def accept(self, inbound: Inbound) -> Outcome:
        """Return once the inbound is on a disk, and logged. Raises StoreUnavailable, with the answer's context."""
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
            refusal="; ".join(sorted(set(receipt.refused.values()))) or None,
            good=rows > refused,
        )
