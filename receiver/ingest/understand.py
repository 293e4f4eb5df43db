"""From a callback to the job of storing it: where what an adapter can't understand turns into words."""

import asyncio
import traceback
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from receiver.inbound import Inbound
from receiver.providers import INTAKES, PROVIDER_BY_PATH, provider_of
from receiver.providers.base import Parsed, Request
from receiver.providers.payload import PayloadError
from receiver.store.job import Job
from receiver.telemetry.logs import get_logger

_MAX_FAULTS: Final = 20

TURN: Final = 50
"""Items of a batch that are worked on at a time: the callbacks of others come between, about every two milliseconds."""

NOT_SIGNED: Final = "not signed by the platform"
"""How the reason begins for which a push without the right signature is kept, and never believed."""

log = get_logger()

T = TypeVar("T")


class ParsedInbound(NamedTuple):
    """What the adapter made of a callback, and the job that stores it."""

    parsed: Parsed
    job: Job


async def parse_inbound(callback: Inbound) -> ParsedInbound:
    """Never raises: what can't be understood becomes a rejected payload. The same now and from the spool later."""
    provider = PROVIDER_BY_PATH.get(callback.path) or provider_of(callback.path)
    parsed = Parsed(faults=[callback.skip_parsing_reason]) if callback.skip_parsing_reason else _parse(callback)
    try:
        job = Job(
            callback=callback,
            provider=provider,
            reports=await _built(parsed.reports),
            replies=await _built(parsed.replies),
            submissions=await _built(parsed.submissions),
            error=_sentence(parsed.faults),
        )
    except Exception as error:  # noqa: BLE001 - as in _parse
        job = Job(callback=callback, provider=provider, error=_own_fault(callback, error))
    return ParsedInbound(parsed, job)


async def _built(items: Iterable[T]) -> list[T]:
    """The items of a body, with breaks for the callbacks of others."""
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
        return parse(
            Request(path=callback.path, body=callback.body, query=callback.query, content_type=callback.content_type)
        )
    except PayloadError as error:
        return Parsed(faults=[str(error)])
    except Exception as error:  # noqa: BLE001 - the one boundary: a fault in an adapter must not cost the report
        return Parsed(faults=[_own_fault(callback, error)])


def _own_fault(callback: Inbound, error: Exception) -> str:
    """The place alone is logged: the error's text and its frames may quote the body."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "payload.adapter_failed",
        provider=provider_of(callback.path),
        request_id=callback.request_id,
        error=type(error).__name__,
        where=f"{where.name}:{where.lineno}",
    )
    return f"a fault of the receiver's own ({type(error).__name__})"


def _sentence(faults: list[str]) -> str | None:
    if not faults:
        return None
    rest = len(faults) - _MAX_FAULTS
    return "; ".join(faults[:_MAX_FAULTS]) + (f"; and {rest} more" if rest > 0 else "")
