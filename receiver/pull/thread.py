"""Calls a platform's blocking client in a daemon thread, which the end of the process need not wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from receiver.telemetry.logs import get_logger

T = TypeVar("T")

log = get_logger()


async def in_thread(function: Callable[[], T], source: str, slow_s: float) -> T:
    """The result of a blocking function; a log line after each `slow_s` seconds that it takes.

    A cancelled wait abandons the thread; with `asyncio.to_thread` the process would wait for it.
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
