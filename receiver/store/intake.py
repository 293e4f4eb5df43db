"""From a callback to the job of storing it: where what an adapter can't understand turns into words."""

import traceback
from typing import Final, NamedTuple

from receiver.callback import Callback
from receiver.logs import get_logger
from receiver.providers import INTAKES, provider_of
from receiver.providers.contract import Parsed
from receiver.providers.payload import PayloadError
from receiver.store.job import Job

_MAX_FAULTS: Final = 20

NOT_SIGNED: Final = "not signed by the platform"
"""How the reason begins for which a push without the right signature is kept, and never believed."""

log = get_logger()


class Understood(NamedTuple):
    """What the adapter made of a callback, and the job that stores it."""

    parsed: Parsed
    job: Job


def understand(callback: Callback) -> Understood:
    """Never raises: what can't be understood becomes a rejected payload. The same now and from the spool later."""
    parsed = Parsed(faults=[callback.refusal]) if callback.refusal else _parse(callback)
    job = Job(
        callback=callback,
        provider=provider_of(callback.path),
        reports=parsed.reports,
        replies=parsed.replies,
        submissions=parsed.submissions,
        error=_sentence(parsed.faults),
    )
    return Understood(parsed, job)


def _parse(callback: Callback) -> Parsed:
    parse = INTAKES.get(callback.path)
    if parse is None:
        return Parsed(faults=[f"this version knows no URL {callback.path}"])
    try:
        return parse(callback.body)
    except PayloadError as error:
        return Parsed(faults=[str(error)])
    except Exception as error:  # noqa: BLE001 - the one boundary: a fault in an adapter must not cost the report
        # The place alone: the error's text and its frames may quote the body.
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error(  # noqa: TRY400 - see above
            "payload.adapter_failed",
            provider=provider_of(callback.path),
            request_id=callback.request_id,
            error=type(error).__name__,
            where=f"{where.name}:{where.lineno}",
        )
        return Parsed(faults=[f"a fault of the receiver's own ({type(error).__name__})"])


def _sentence(faults: list[str]) -> str | None:
    if not faults:
        return None
    rest = len(faults) - _MAX_FAULTS
    return "; ".join(faults[:_MAX_FAULTS]) + (f"; and {rest} more" if rest > 0 else "")
