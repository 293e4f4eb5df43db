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
"""Returns once the callback is on a disk; raises while that can't be."""

Outcome = Literal["kept", "empty", "failed", "doubtful"]
Note = Callable[[Outcome, int], None]
"""Counts a call: how it ended, and how many items it handed out."""

CONTENT_TYPE: Final = "application/json"

_PAUSE_S: Final = 1.0
"""Between looks at whether anything can be kept, while nothing can."""

_KEEP_FIRST_S: Final = 0.2
_KEEP_MOST_S: Final = 5.0
_STOP_S: Final = 10.0
"""How long a loop that is cancelled may take to keep what it has in journal. It is on the disk already."""

log = get_logger()


async def run_pull(
    source: Source, keep: Keep, journal: AnswerJournal, *, can_keep: Callable[[], bool], note: Note
) -> None:
    """Pull for ever; cancel to stop. A call that is under way then is finished first, and what it brings kept.

    No call is made while `can_keep` says that nothing could be kept.
    """
    await _to_the_end(_resume(source, keep, journal), source)
    backoff = Backoff(source.path)
    while True:
        if not can_keep():
            backoff.waits("pull.paused", "neither PostgreSQL nor the spool takes anything")
            await asyncio.sleep(_PAUSE_S)
            continue
        try:
            count = await _to_the_end(_step(source, keep, journal, note), source)
        except PullFailed as error:
            note("doubtful" if error.doubt else "failed", 0)
            await asyncio.sleep(max(backoff.failed(error), source.gap_s))
        else:
            backoff.over()
            await asyncio.sleep(source.gap_s if count >= source.limit else max(source.interval_s, source.gap_s))


async def _resume(source: Source, keep: Keep, journal: AnswerJournal) -> None:
    """Keep what an earlier process left in journal; say so where it died with a call under way."""
    held, since = journal.held(), journal.interrupted()
    if held is not None:
        await _keep_for_certain(held, keep)
        journal.release()
        log.info("pull.resumed", source=source.path, request_id=held.request_id)
    elif since is not None:
        log.warning("pull.interrupted", source=source.path, since=since, at_most_count=source.limit)
    journal.end()


async def _step(source: Source, keep: Keep, journal: AnswerJournal, note: Note) -> int:
    """One call, and the keeping of its answer. How many items it handed out. Raises PullFailed."""
    called = await in_thread(lambda: _call(source, journal), source.path, source.timeout_s)
    if called is None:
        note("empty", 0)
        return 0
    callback, count = called
    await _keep_for_certain(callback, keep)
    journal.release()
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
    """In a thread: nothing may come between the answer and the disk. None for an empty answer."""
    journal.begin()
    try:
        handed = source.fetch()
    except PullFailed:
        journal.end()
        raise
    except Exception as error:
        # A fault of ours, or one of the client library's that nobody foresaw; its text may quote the answer.
        journal.end()
        advice = "a fault of the receiver's own; the answer is lost"
        raise PullFailed(type(error).__name__, advice, doubt=True) from error
    if not handed.count:
        journal.end()
        return None
    callback = as_callback(source.path, handed)
    journal.hold(callback)
    return callback, handed.count


def as_callback(path: str, handed: PulledAnswer) -> Inbound:
    """The answer as if it had been pushed."""
    return Inbound(
        path=path,
        body=handed.body,
        content_type=CONTENT_TYPE,
        received_at=datetime.now(UTC),
        remote_addr=None,
        request_id=secrets.token_hex(8),
    )


async def _keep_for_certain(callback: Inbound, keep: Keep) -> None:
    """Try until it is kept: nobody would journal it out again."""
    delay = _KEEP_FIRST_S
    backoff = Backoff(callback.path)
    while True:
        try:
            await keep(callback)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer must not be dropped
            backoff.waits("pull.not_kept", type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _KEEP_MOST_S)
        else:
            return


async def _to_the_end(work: Awaitable[T], source: Source) -> T:
    """The work's result; cancelled, it gets the time to finish, for a call can't be taken back."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _, unfinished = await asyncio.wait([task], timeout=_STOP_S)
        if unfinished:
            log.error("pull.stopped_with_answer_in_hand", source=source.path)  # noqa: TRY400 - the cancelling is no fault
            task.cancel()
        elif not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain that nobody did
        raise
