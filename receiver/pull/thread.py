"""A platform's client blocks: it is called in a thread, which nobody has to wait for when the process ends."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from receiver.telemetry.logs import get_logger

T = TypeVar("T")

log = get_logger()


async def in_thread(function: Callable[[], T], source: str, slow_s: float) -> T:
    """The result of a function that blocks; after `slow_s` seconds, and again and again, it is logged as slow.

    A cancelled wait leaves the thread to itself; `asyncio.to_thread` would make the process wait for it.
    """
    done: Future[T] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name=source, daemon=True).start()
    waiting = asyncio.wrap_future(done)
    while not (await asyncio.wait([waiting], timeout=slow_s))[0]:
        log.warning("pull.slow", source=source)
    return waiting.result()
