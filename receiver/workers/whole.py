"""What the ops listener of several processes tells of: the supervisor and its workers together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from receiver.ingest.recent import Events, Position, together
from receiver.store.spool_file import total
from receiver.telemetry.metrics import Metrics
from receiver.web.view import Health, OneProcess, Workers
from receiver.workers import addition
from receiver.workers.messages import State, events_of
from receiver.workers.process import NoAnswer, WorkerProcess
from receiver.workers.team import Team

_ANSWER_S: Final = 1.0
"""A worker that does not answer within this time is told of by what it said last."""

_PAGE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Whole:
    """See `web.view.View`. `left` are the slots of workers that are gone, whose spools are not drained yet."""

    supervisor: OneProcess
    registered: Metrics
    team: Team
    left: Callable[[], Collection[int]]

    async def health(self) -> Health:
        """The whole takes what every process takes."""
        states = await self._states()
        own = await self.supervisor.health()
        return Health(
            database=own.database and all(state.database for state in states),
            spool=own.spool and all(state.spool for state in states),
            depth=total([own.depth, *(state.depth for state in states)]),
            days_left=own.days_left,
            sync_replica=own.sync_replica,
            stale_primaries=own.stale_primaries,
            workers=Workers(self.team.wanted, self.team.serving, len(self.left())),
        )

    async def metrics(self) -> bytes:
        """Those of all processes added up, with the counters of workers that are gone."""
        states = await self._states()
        own = list(self.registered.registry.collect())
        return addition.rendered(addition.added([own, *(state.metrics for state in states), self.team.lasting]))

    async def spooled(self) -> AsyncIterator[bytes]:
        """See `View`; a worker that ends meanwhile is left out from there on."""
        async for line in self.supervisor.spooled():
            yield line
        for worker in self.team.alive:
            with suppress(NoAnswer):
                async for line in _spooled_by(worker):
                    yield line

    async def recent(self, after: Position | None, most: int) -> Events:
        """See `View`. What a worker that ends meanwhile had kept is not shown."""
        workers = [worker for worker in self.team.alive if worker.serving.is_set()]
        asked = (worker.ask("recent", _ANSWER_S, after=after, most=most) for worker in workers)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        told = [events_of(answer) for answer in answers if isinstance(answer, dict)]
        return together([await self.supervisor.recent(after, most), *told])

    async def _states(self) -> list[State]:
        workers = [worker for worker in self.team.alive if worker.serving.is_set()]
        await asyncio.gather(*(worker.look(_ANSWER_S) for worker in workers), return_exceptions=True)
        # A worker that has ended meanwhile counts by `lasting`.
        return [worker.state for worker in self.team.alive if worker.state is not None]


async def _spooled_by(worker: WorkerProcess) -> AsyncIterator[bytes]:
    after = 0
    while (page := await worker.ask("spool", _PAGE_S, after=after))["lines"]:
        for line in page["lines"]:
            yield line.encode()
        after = page["last"]
