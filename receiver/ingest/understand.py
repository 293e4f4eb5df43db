"""Parses an inbound into a job; parse errors become the reason of a rejected payload."""

import asyncio
import traceback
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from receiver.inbound import Inbound
from receiver.providers import INTAKES, PROVIDER_BY_PATH, provider_of
from receiver.providers.base import Parsed, Request
from receiver.providers.payload import PayloadError
from receiver.store.job import Job, job_of
from receiver.telemetry.logs import get_logger

_MAX_FAULTS: Final = 20

TURN: Final = 50
"""Items of a batch that are handled before yielding to other callbacks, about every two milliseconds."""

NOT_SIGNED: Final = "not signed by the platform"
"""Prefix of the reason for which a push with a wrong signature is kept; such a payload is never parsed."""

log = get_logger()

T = TypeVar("T")


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
