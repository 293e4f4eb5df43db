"""The central act: an inbound is parsed, kept and logged, and its outcome decides the answer.

Callbacks, submissions, pulled answers and replayed payloads all come through here. The drain takes the same steps for
many inbounds at a time.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from receiver.inbound import Inbound
from receiver.providers import INTAKES, PROVIDER_BY_PATH, provider_of
from receiver.providers.base import Parsed, Request
from receiver.providers.payload import PayloadError
from receiver.store.durable import StoreUnavailable
from receiver.store.job import Job, Kept, KeptIn, job_of
from receiver.telemetry.logs import get_logger

_MAX_FAULTS: Final = 20

TURN: Final = 50
"""Items of a batch that are handled before yielding to other callbacks, about every two milliseconds."""

NOT_SIGNED: Final = "not signed by the platform"
"""Prefix of the reason for which a push with a wrong signature is kept; such a payload is never parsed."""

Keep = Callable[[Job], Awaitable[Kept]]
"""Keeps a job on a disk. Raises StoreUnavailable."""

Observe = Callable[[Job, Kept], Awaitable[None]]
"""Logs and counts the job's rows."""

log = get_logger()

T = TypeVar("T")


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


class ParsedInbound(NamedTuple):
    """The adapter's result for an inbound, and the job that stores it."""

    parsed: Parsed
    job: Job


async def parse_inbound(callback: Inbound) -> ParsedInbound:
    """Never raises: a body that can't be parsed becomes a rejected payload. The result is the same from the spool."""
    provider = PROVIDER_BY_PATH.get(callback.path) or provider_of(callback.path)
    parsed = Parsed(faults=[callback.skip_parsing_reason]) if callback.skip_parsing_reason else _parse(callback)
    reports, replies, submissions, faults = parsed.reports, parsed.replies, parsed.submissions, parsed.faults
    try:
        if not isinstance(reports, list):
            reports = await _build_list(reports)
        replies = await _build_list(replies) if replies else ()
        submissions = await _build_list(submissions) if submissions else ()
        job = job_of(callback, provider, reports, replies, submissions, _sentence(faults) if faults else None)
    except Exception as error:  # noqa: BLE001 - as in _parse
        job = job_of(callback, provider, error=_log_bug(callback, error))
    return ParsedInbound(parsed, job)


async def _build_list(items: Iterable[T]) -> list[T]:
    """The items of a body as a list, built with yields to other callbacks."""
    left = iter(items)
    built = list(islice(left, TURN))
    while turn := list(islice(left, TURN)):
        await asyncio.sleep(0)
        built += turn
    return built


def _parse(callback: Inbound) -> Parsed:
    parse = INTAKES.get(callback.path)
    if parse is None:
        return Parsed(faults=[f"this version knows no URL {callback.path}"])
    try:
        return parse(Request(callback.path, callback.body, callback.query, callback.content_type))
    except PayloadError as error:
        return Parsed(faults=[str(error)])
    except Exception as error:  # noqa: BLE001 - the one boundary: a bug in an adapter must not cost the report
        return Parsed(faults=[_log_bug(callback, error)])


def _log_bug(callback: Inbound, error: Exception) -> str:
    """The fault's text for a bug, logged by its place alone: the error's text and frames may quote the body."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "payload.adapter_failed",
        provider=provider_of(callback.path),
        request_id=callback.request_id,
        error=type(error).__name__,
        where=f"{where.name}:{where.lineno}",
    )
    return f"a fault of the receiver's own ({type(error).__name__})"


def _sentence(faults: Sequence[str]) -> str:
    rest = len(faults) - _MAX_FAULTS
    return "; ".join(faults[:_MAX_FAULTS]) + (f"; and {rest} more" if rest > 0 else "")
