"""The loop: ask, have the answer on the disk, keep it, and only then ask again."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from receiver.inbound import Inbound
from receiver.pull.backoff import Backoff
from receiver.pull.journal import AnswerJournal
from receiver.pull.source import PulledAnswer, PullFailed, Source
from receiver.pull.thread import in_thread
from receiver.report import ProviderName
from receiver.telemetry.logs import get_logger

T = TypeVar("T")

Keep = Callable[[Inbound], Awaitable[None]]
"""Returns once the inbound is kept; raises while it can't be."""

Outcome = Literal["kept", "empty", "failed", "doubtful"]
Note = Callable[[Outcome, int], None]
"""Counts a call by its outcome, with its number of items."""

CONTENT_TYPE: Final = "application/json"

_PAUSE_S: Final = 1.0
"""Interval of checks whether an answer could be kept, while none could."""

_KEEP_FIRST_S: Final = 0.2
_KEEP_MAX_S: Final = 5.0
_STOP_TIMEOUT_S: Final = 10.0
"""A cancelled loop may take this long to keep its answer. The answer is on the disk already."""

log = get_logger()


async def run_pull(
    source: Source, keep: Keep, journal: AnswerJournal, *, can_keep: Callable[[], bool], note: Note
) -> None:
    """Pull until cancelled; then a call under way is finished first, and its answer kept.

    No call is made while `can_keep` is false.
    """
    await _finish_if_cancelled(_resume(source, keep, journal), source)
    backoff = Backoff(source.path)
    while True:
        if not can_keep():
            backoff.log_waiting("pull.paused", "neither PostgreSQL nor the spool takes anything")
            await asyncio.sleep(_PAUSE_S)
            continue
        try:
            count = await _finish_if_cancelled(_step(source, keep, journal, note), source)
        except PullFailed as error:
            note("doubtful" if error.doubt else "failed", 0)
            await asyncio.sleep(max(backoff.failed(error), source.gap_s))
        else:
            backoff.succeeded()
            await asyncio.sleep(source.gap_s if count >= source.limit else max(source.interval_s, source.gap_s))


async def _resume(source: Source, keep: Keep, journal: AnswerJournal) -> None:
    """Keep an answer that an earlier process left in the journal; log a call that was interrupted."""
    pending, since = journal.pending_answer(), journal.interrupted_since()
    if pending is not None:
        await _keep_with_retries(pending, keep)
        journal.clear_answer()
        log.info("pull.resumed", source=source.path, request_id=pending.request_id)
    elif since is not None:
        log.warning("pull.interrupted", source=source.path, since=since, at_most_count=source.limit)
    journal.end_call()


async def _step(source: Source, keep: Keep, journal: AnswerJournal, note: Note) -> int:
    """Make one call and keep its answer. Returns its number of items. Raises PullFailed."""
    called = await in_thread(lambda: _call(source, journal), source.path, source.timeout_s)
    if called is None:
        note("empty", 0)
        return 0
    callback, count = called
    await _keep_with_retries(callback, keep)
    journal.clear_answer()
    note("kept", count)
    log.info(
        "pull.kept",
        provider=ProviderName(source.path.partition("/")[0]),
        source=source.path,
        items=count,
        request_id=callback.request_id,
    )
    return count


def _call(source: Source, journal: AnswerJournal) -> tuple[Inbound, int] | None:
    """Runs in a thread: no cancellation may come between the answer and the disk. None for an empty answer."""
    journal.begin_call()
    try:
        answer = source.fetch()
    except PullFailed:
        journal.end_call()
        raise
    except Exception as error:
        # A bug of ours or of the client library; its text may quote the answer.
        journal.end_call()
        advice = "a fault of the receiver's own; the answer is lost"
        raise PullFailed(type(error).__name__, advice, doubt=True) from error
    if not answer.count:
        journal.end_call()
        return None
    callback = as_callback(source.path, answer)
    journal.write_answer(callback)
    return callback, answer.count


def as_callback(path: str, answer: PulledAnswer) -> Inbound:
    """The answer as if it had been pushed."""
    return Inbound(
        path=path,
        body=answer.body,
        content_type=CONTENT_TYPE,
        received_at=datetime.now(UTC),
        remote_addr=None,
        request_id=secrets.token_hex(8),
    )


async def _keep_with_retries(callback: Inbound, keep: Keep) -> None:
    """Try until it is kept: the platform would not return it again."""
    delay = _KEEP_FIRST_S
    backoff = Backoff(callback.path)
    while True:
        try:
            await keep(callback)
        except Exception as error:  # noqa: BLE001 - no error may drop the answer
            backoff.log_waiting("pull.not_kept", type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _KEEP_MAX_S)
        else:
            return


async def _finish_if_cancelled(work: Awaitable[T], source: Source) -> T:
    """The work's result; if cancelled, wait for its end first, for a call can't be undone."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _, unfinished = await asyncio.wait([task], timeout=_STOP_TIMEOUT_S)
        if unfinished:
            log.error("pull.stopped_with_answer_in_hand", source=source.path)
            task.cancel()
        elif not task.cancelled():
            task.exception()  # retrieved, or asyncio logs that it never was
        raise
