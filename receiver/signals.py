"""Signals of processes that have to clean up before they end.

SIGTERM and SIGINT ask for a graceful shutdown, and so does SIGHUP where it means that the terminal has closed. In a
daemon, which has no terminal, and under nohup SIGHUP means: reload files. A SIGINT during the shutdown cuts it short.
SIGUSR2 means: replace the workers, where there are any.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from receiver.telemetry.logs import get_logger

T = TypeVar("T")

_TERMINAL: Final = "/dev/tty"
"""The controlling terminal of the process, if any (POSIX, Base Definitions, section 10.1)."""

_SHELL_SIGNAL_BASE: Final = 128
"""Shells add this to a signal's number for the exit code of a process that it ended."""

_DEBOUNCE_S: Final = 0.3
"""One Ctrl-C may arrive twice: a parent forwards a signal that the terminal sent to us too, and so may uvloop."""

_CLEANUP_SIGNALS: Final = 2
"""So many signals interrupt a command with cleanup; the next one ends it at once."""

log = get_logger()


class Interrupted(Exception):
    """A signal cancelled the work."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = _SHELL_SIGNAL_BASE + number


class Shutdown:
    """Shutdown of a service: `asked` is set by a signal, or by the service itself. Create it in the service's task.

    A signal before `started`, and a SIGINT during the shutdown, cancel the task: its cleanup still runs, but its
    current wait ends.
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
            self._loop.add_signal_handler(number, self._on_signal, number)
        if self._hangup_stops:
            self._loop.add_signal_handler(signal.SIGHUP, self._on_signal, signal.SIGHUP)
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def started(self, reload: Callable[[], object], replace: Callable[[], object] | None = None) -> None:
        """Stop gracefully from now on; a SIGHUP that does not stop the service calls `reload`, a SIGUSR2 `replace`."""
        self._is_starting = False
        if replace is not None:
            self._loop.add_signal_handler(signal.SIGUSR2, replace)
        if not self._hangup_stops:
            self._loop.add_signal_handler(signal.SIGHUP, reload)

    def ask(self) -> None:
        """Begin the shutdown, without a signal."""
        self.asked.set()
        self._asked_at = self._loop.time()
        if self._is_starting:
            self._cancel()

    def _on_signal(self, number: signal.Signals) -> None:
        """Begin the shutdown. A closed terminal repeats its SIGHUP, so only a second SIGINT cuts the shutdown short."""
        if not self.asked.is_set():
            log.info("service.asked_to_stop", signal=number.name)
            self.ask()
        elif number == signal.SIGINT and self._loop.time() - self._asked_at > _DEBOUNCE_S:
            log.warning("service.hurried", advice="requests and calls under way are not waited for")
            self.exit_code = _SHELL_SIGNAL_BASE + number
            self._cancel()

    def _cancel(self) -> None:
        self.was_cancelled = True
        if self._task is not None:
            self._task.cancel()


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of a command's work; a signal cancels it, and it can clean up. Raises Interrupted.

    A second Ctrl-C cancels the cleanup's current wait, a third one ends the process.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []
    last = -_DEBOUNCE_S

    def on_signal(number: int) -> None:
        nonlocal last
        since, last = loop.time() - last, loop.time()
        if received and (number != signal.SIGINT or since < _DEBOUNCE_S):
            return
        received.append(number)
        if len(received) > _CLEANUP_SIGNALS:
            os._exit(_SHELL_SIGNAL_BASE + number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, partial(on_signal, number))
    try:
        return await work
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None


def hangup_stops() -> bool:
    """Whether SIGHUP means the end: there is a controlling terminal, and SIGHUP is not ignored (nohup)."""
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
