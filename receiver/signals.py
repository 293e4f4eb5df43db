"""What a signal asks of a process that has something to put in order first.

SIGTERM and SIGINT stop it in good order, and so does SIGHUP where it means that the terminal has gone. To a daemon,
which has none, and under nohup it says that files are to be read again. SIGINT while it stops says that somebody has
waited for long enough.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from receiver import interrupt
from receiver.telemetry.logs import get_logger

T = TypeVar("T")

_TERMINAL: Final = "/dev/tty"
"""Whatever terminal controls the process, if any (POSIX, Base Definitions, section 10.1)."""

_SHELL: Final = 128
"""What shells add to a signal's number for the exit code of who ended by it."""

_ONE_KEY_S: Final = 0.3
"""A Ctrl-C may come twice: a parent passes on what the terminal has sent us too, and so may uvloop."""

_PATIENCE: Final = 2
"""Signals that a command answers by cleaning up; the next one is somebody who will not wait for that."""

log = get_logger()


class Interrupted(Exception):  # noqa: N818 - nothing failed
    """The work was given up because a signal asked for it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = _SHELL + number


class Ending:
    """When to stop a service: `asked` is set by a signal, or by whoever else knows. Made in the service's own task.

    Before `started`, and when SIGINT comes while it stops, the task is cancelled: what it has begun is still undone,
    but whatever it waits for at the moment is waited for no more.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.was_cancelled = False
        self.exit_code = 0
        self._asked_at = 0.0
        self._is_starting = True
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._hangup_stops = hangup_stops()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ask, number)
        if self._hangup_stops:
            self._loop.add_signal_handler(signal.SIGHUP, self._ask, signal.SIGHUP)
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def started(self, reload: Callable[[], object]) -> None:
        """From now on the service stops in good order; `reload` is for a SIGHUP that does not stop it."""
        self._is_starting = False
        if not self._hangup_stops:
            self._loop.add_signal_handler(signal.SIGHUP, reload)

    def _ask(self, number: signal.Signals) -> None:
        """A closed terminal sends its SIGHUP several times: only a second SIGINT means hurry."""
        if not self.asked.is_set():
            log.info("service.asked_to_stop", signal=number.name)
            self.asked.set()
            self._asked_at = self._loop.time()
            if self._is_starting:
                self._cancel()
        elif number == signal.SIGINT and self._loop.time() - self._asked_at > _ONE_KEY_S:
            log.warning("service.hurried", advice="requests and calls under way are not waited for")
            self.exit_code = _SHELL + number
            self._cancel()

    def _cancel(self) -> None:
        self.was_cancelled = True
        if self._task is not None:
            self._task.cancel()


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of a command's work, which a signal cancels, so that it can clean up. Raises Interrupted.

    A second Ctrl-C waits no more for what the cleaning up waits for, a third one for nothing.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    came: list[int] = []
    last = -_ONE_KEY_S

    def ask(number: int) -> None:
        nonlocal last
        since, last = loop.time() - last, loop.time()
        if came and (number != signal.SIGINT or since < _ONE_KEY_S):
            return
        came.append(number)
        if len(came) > _PATIENCE:
            interrupt.leave()
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, partial(ask, number))
    try:
        return await work
    except asyncio.CancelledError:
        if not came:
            raise
        raise Interrupted(came[0]) from None


def hangup_stops() -> bool:
    """Whether SIGHUP is the end: a terminal controls us, and we were not started to outlive it (nohup)."""
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
