"""A worker: the callback listener over an inherited socket, with a writer and a spool of its own.

It answers the supervisor's questions, and stops in good order on SIGTERM, and when the supervisor is gone.
"""

import asyncio
import os
import socket
import threading
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from receiver.errors import OperatorError
from receiver.server.bind import BindAddress, BoundSockets
from receiver.server.tls import Tls
from receiver.service import answering, tune_garbage_collection
from receiver.settings import load
from receiver.signals import Shutdown
from receiver.storage import Role, Storage, background, storing
from receiver.store.spool import SpoolError
from receiver.store.spool_file import as_line
from receiver.telemetry import logs
from receiver.telemetry.logs import get_logger
from receiver.telemetry.rate_limit import divided_among
from receiver.web.view import PAGE
from receiver.workers import shares
from receiver.workers.channel import Channel
from receiver.workers.messages import Assignment, State, events_as_message

_ORPHAN_S: Final = 8.0
"""A worker without a supervisor has ended after this time: requests under way are answered long before."""

_LOOK_S: Final = 0.5

log = get_logger()


def main(descriptor: int) -> int:
    """Run over this end of the channel. Returns the exit code."""
    threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    return uvloop.run(_work(socket.socket(fileno=descriptor)))


def _end_without(supervisor: int) -> None:
    """In a thread: end the process some seconds after the supervisor, even if the event loop hangs."""
    while os.getppid() == supervisor:
        time.sleep(_LOOK_S)
    time.sleep(_ORPHAN_S)
    os._exit(1)


async def _work(one: socket.socket) -> int:
    shutdown = Shutdown()
    channel = await Channel.over(one)
    try:
        if (message := await channel.receive()) is not None:
            await _serve(Assignment.of(message), channel, shutdown)
    except OperatorError as error:
        channel.send({"event": "failed", "error": str(error)})
        return 1
    except asyncio.CancelledError:
        if not shutdown.was_cancelled:
            raise
    finally:
        await channel.close()
    return shutdown.exit_code


async def _serve(given: Assignment, channel: Channel, shutdown: Shutdown) -> None:
    """Raises OperatorError."""
    settings = shares.of_worker(load(), given)
    divided_among(given.workers)
    logs.configure(settings.log_format, settings.log_level, tokens=settings.secrets(), worker=given.slot)
    tls = Tls(settings) if settings.tls_certificate else None
    where = BindAddress(settings.host, settings.port)
    role = Role(slot=given.slot, processes=given.workers + 1, database_setting=given.database_setting)
    conversation = _Conversation(channel, shutdown)
    async with AsyncExitStack() as stack:
        inherited = [stack.enter_context(socket.socket(fileno=number)) for number in given.sockets]
        await stack.enter_async_context(background(shutdown.asked, conversation.run()))
        storage = await stack.enter_async_context(storing(settings, shutdown.asked, role))
        sockets = BoundSockets(where, inherited, shared=True)
        listener = await stack.enter_async_context(answering(settings, sockets, storage, tls, shutdown.asked))
        conversation.storage = storage
        tune_garbage_collection()
        shutdown.started(tls.reload if tls else lambda: None)
        channel.send({"event": "serving"})
        await shutdown.asked.wait()
        await listener.drain(settings.drain_delay_s)
    channel.send({"event": "last", **(await _state(storage)).as_message()})


@dataclass(slots=True)
class _Conversation:
    """Answers the supervisor's questions, which come once the worker serves; its end asks the worker to stop."""

    channel: Channel
    shutdown: Shutdown
    storage: Storage | None = None

    async def run(self) -> None:
        """Until the supervisor is gone; during the start too, so that no worker without one goes on starting."""
        while (asked := await self.channel.receive()) is not None:
            if self.storage is not None:
                self.channel.send({"number": asked["number"], **await _answer(asked, self.storage)})
        log.error("supervisor.gone")
        self.shutdown.ask()


async def _answer(asked: dict[str, Any], storage: Storage) -> dict[str, Any]:
    if asked["question"] == "recent":
        return dict(events_as_message(storage.recent.after(asked["after"], asked["most"])))
    if asked["question"] == "spool":
        page = []
        with suppress(SpoolError):  # it is closed: the worker stops
            page = await storage.spool.oldest(PAGE, asked["after"])
        lines = [as_line(number, callback).decode() for number, callback in page]
        return {"lines": lines, "last": page[-1][0] if page else 0}
    return dict((await _state(storage)).as_message())


async def _state(storage: Storage) -> State:
    health = await storage.view.health()
    return State(
        database=health.database,
        spool=health.spool,
        depth=health.depth,
        metrics=list(storage.metrics.registry.collect()),
    )
