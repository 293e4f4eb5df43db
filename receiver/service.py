"""The life of a service: what is started, in which order, and how it stops without losing a report.

Both are one: `receiver serve`, which listens for callbacks, and `receiver pull`, which does not.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from receiver import app, storage
from receiver.logs import get_logger
from receiver.metrics import Metrics
from receiver.notify import notify
from receiver.pull.source import Opened
from receiver.pull.wiring import pulls
from receiver.settings import Settings
from receiver.signals import Ending
from receiver.web import exposure, ops_token
from receiver.web.listener import Listener
from receiver.web.ops import Ops
from receiver.web.tls import Tls

_COLLECT_AFTER: Final = 50_000
"""Container objects that may have come to more than have gone before the collector looks at the young ones."""

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A service that runs. The listeners are open; `callbacks` is None where none are listened for."""

    kept: Ops
    ops: Listener
    callbacks: Listener | None
    tls: Tls | None

    @property
    def public(self) -> Listener:
        """The listener of the callback URLs."""
        if self.callbacks is None:
            raise RuntimeError("this service does not listen for callbacks")
        return self.callbacks

    @property
    def metrics(self) -> Metrics:
        """What it counts."""
        return self.kept.metrics

    def reload(self) -> None:
        """Read again the files that may be renewed."""
        if self.tls is not None:
            self.tls.reload()


async def serve(settings: Settings, platforms: Sequence[Opened] = (), *, listen: bool = True) -> int:
    """Run until a signal (`receiver.signals`), then finish what is under way, and stop; the exit code.

    Raises what keeps it from running.
    """
    ending = Ending()
    try:
        async with running(settings, ending.asked, platforms, listen=listen) as runtime:
            ending.started(runtime.reload)
            notify("READY=1")
            await ending.asked.wait()
            notify("STOPPING=1")
    except asyncio.CancelledError:
        if not ending.was_cancelled:
            raise
        log.info("service.stopped")
    return ending.exit_code


@asynccontextmanager
async def running(
    settings: Settings, stop: asyncio.Event, platforms: Sequence[Opened] = (), *, listen: bool = True
) -> AsyncIterator[Runtime]:
    """The service while the block runs, pulling from the platforms. A background task that dies sets `stop`."""
    # First of all, so that a file which cannot be used stops the start before anything is started.
    tls = Tls(settings) if listen and settings.tls_certificate else None
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(storage.opened(settings, stop))
        loops = pulls(platforms, kept.keeper, kept.metrics, settings.data_dir)
        await stack.enter_async_context(storage.background(stop, *loops))
        if tls is not None:
            tls.publish(kept.metrics)
            await stack.enter_async_context(storage.background(stop, tls.watch()))
        # The ops listener is stopped last, so that it can tell what happens until then.
        ops = await stack.enter_async_context(app.listening_for_ops(settings, kept, takes_submissions=listen))
        callbacks = await stack.enter_async_context(app.listening(settings, kept, tls)) if listen else None
        kept.phase = "serving"
        _tell(settings, ops, callbacks, platforms)
        _spare_the_collector()
        yield Runtime(kept=kept, ops=ops, callbacks=callbacks, tls=tls)
        kept.phase = "stopping"
        log.info("service.stopping")
        if callbacks is not None:
            await callbacks.drain(settings.drain_delay_s)
    log.info("service.stopped")


def _tell(settings: Settings, ops: Listener, callbacks: Listener | None, platforms: Sequence[Opened]) -> None:
    log.info("ops.listening", url=ops.url, bound=ops.bound)
    ops_token.warn_if_open(settings)
    if callbacks is not None:
        exposure.warn_if_open(settings)
        for path in app.paths(settings):
            log.info("callback.listening", url=callbacks.url + path, bound=callbacks.bound)
    for source in (source for platform in platforms for source in platform.sources):
        log.info("pull.started", source=source.path)


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking again and again through what stays for the life of the process.

    Modules, phone number metadata and the catalogue are some hundred thousand objects; reports are freed by their
    reference counts. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
