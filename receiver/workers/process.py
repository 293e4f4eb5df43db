"""One worker, seen from the supervisor: its process, its answers, its end."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from itertools import count
from subprocess import DEVNULL, Popen
from typing import Any, Final

from receiver.telemetry.logs import get_logger
from receiver.workers.channel import Channel
from receiver.workers.messages import Assignment, State

_POLL_S: Final = 0.02

_EVERY_S: Final = 1.0
"""A worker is asked for its state so often: at its death so much of its metrics is lost."""

_HUNG_S: Final = 30.0
"""A worker that does not answer for this long is killed."""

log = get_logger()


class NoAnswer(Exception):
    """The worker does not answer, or has ended."""


class WorkerProcess:
    """`run` it as a task from its start to its end. `serving` is set once it takes callbacks, `ended` after its end."""

    def __init__(self, slot: int, process: Popen[bytes], channel: Channel) -> None:
        self.slot = slot
        self.process = process
        self.serving = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: str | None = None
        """The reason, for the operator, why it did not start."""
        self.state: State | None = None
        """The last known one."""
        self._channel = channel
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @property
    def takes_callbacks(self) -> bool:
        """Whether it serves, as far as is known."""
        return self.serving.is_set() and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        self.process.send_signal(number)

    async def run(self) -> None:
        """Take its messages until it has ended."""
        watching = asyncio.create_task(self._watch())
        try:
            while (message := await self._channel.receive()) is not None:
                self._take(message)
            while self.process.poll() is None:
                await asyncio.sleep(_POLL_S)
        finally:
            watching.cancel()
            for future in self._asked.values():
                future.cancel()
            await self._channel.close()

    async def ask(self, question: str, timeout_s: float, **fields: object) -> dict[str, Any]:
        """The answer to a question. Raises NoAnswer."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._channel.send({"question": question, "number": number, **fields})
        done, _ = await asyncio.wait([answer], timeout=timeout_s)
        del self._asked[number]
        if not done or answer.cancelled():
            answer.cancel()
            raise NoAnswer
        found: dict[str, Any] = answer.result()
        return found

    async def look(self, timeout_s: float) -> None:
        """Bring `state` up to date. Raises NoAnswer."""
        self.state = State.of(await self.ask("state", timeout_s))

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"number": int(number)}:
                if (answer := self._asked.get(number)) and not answer.done():
                    answer.set_result(message)
            case {"event": "serving"}:
                self.serving.set()
            case {"event": "failed", "error": str(error)}:
                self.error = error
            case {"event": "last"}:
                self.state = State.of(message)

    async def _watch(self) -> None:
        await self.serving.wait()
        while True:
            try:
                await self.look(_HUNG_S)
            except NoAnswer:
                if self.process.poll() is None:
                    log.error("worker.hung", worker=self.slot, pid=self.process.pid)
                    self.send(signal.SIGKILL)
                return
            await asyncio.sleep(_EVERY_S)


async def start(given: Assignment, inherited: Sequence[int]) -> WorkerProcess:
    """Start a worker's process, which inherits these descriptors."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = _spawned(theirs, inherited)
    channel = await Channel.over(ours)
    channel.send(given.as_message())
    return WorkerProcess(given.slot, process, channel)


def _spawned(channel: socket.socket, inherited: Sequence[int]) -> Popen[bytes]:
    """In its own session: a Ctrl-C is for the supervisor, which stops the workers.

    Not by asyncio: like the embedded PostgreSQL it is polled, so that no loop's child watcher has to reap it.
    """
    return Popen(  # noqa: S603 - our own program, no shell, nothing from outside
        [sys.executable, *_flags(), "-P", "-m", "receiver.workers", str(channel.fileno())],
        stdin=DEVNULL,
        pass_fds=[channel.fileno(), *inherited],
        start_new_session=True,
    )


def _flags() -> list[str]:
    """The interpreter's options for warnings."""
    return [f"-W{option}" for option in sys.warnoptions]
