"""One finding of `receiver check`, and how a look at something becomes findings within a deadline."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from receiver.errors import OperatorError
from receiver.settings import Settings

DEADLINE_S: Final = 10.0
"""Of one check: a disk or a host that hangs holds up no other."""

Level = Literal["ok", "warning", "error"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is the case, and what to do where it should not be; never a secret."""

    subject: str
    level: Level
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one subject. It is left out where one of the fields `of` has a wrong value."""

    subject: str
    look: Callable[[Settings], Awaitable[Iterable[Finding]]]
    of: tuple[str, ...] = ()


def blocking(look: Callable[[Settings], Iterable[Finding]]) -> Callable[[Settings], Awaitable[Iterable[Finding]]]:
    """A function that blocks, such as on a disk, as one that can be given up: it stays behind in a daemon thread."""

    async def look_in_thread(settings: Settings) -> Iterable[Finding]:
        return await in_thread(lambda: list(look(settings)))

    return look_in_thread


async def in_thread(blocks: Callable[[], T]) -> T:
    """Its result, from a daemon thread."""
    found: Future[T] = Future()

    def run() -> None:
        found.set_running_or_notify_cancel()  # nobody can cancel it from here on, only stop to wait
        try:
            found.set_result(blocks())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(found)


async def findings_of(check: Check, settings: Settings, deadline_s: float = DEADLINE_S) -> list[Finding]:
    """The check's findings; an error of the operator's, and no end within the deadline, are one."""
    try:
        async with asyncio.timeout(deadline_s):
            return list(await check.look(settings))
    except TimeoutError:
        return [Finding(check.subject, "error", f"no answer within {deadline_s:g} s", "see what hangs there")]
    except OperatorError as error:
        return [Finding(check.subject, "error", str(error))]
    except OSError as error:  # an error of the machine without a text of ours
        return [Finding(check.subject, "error", f"{type(error).__name__}: {error}")]
