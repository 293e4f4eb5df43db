"""Attaches pulling to a service: its settings, its loops, and the functions that keep and count answers."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client import Counter

from receiver.inbound import Inbound
from receiver.ingest.accept import Ingest
from receiver.pull.journal import AnswerJournal
from receiver.pull.loop import Keep, Note, Outcome, run_pull
from receiver.pull.settings import variables
from receiver.pull.source import Opened
from receiver.pull.sources import PLATFORMS
from receiver.store.durable import DurableStore
from receiver.telemetry.metrics import Metrics

VARIABLES: Final = variables(platform.settings for platform in PLATFORMS)
"""The environment variables of every platform's settings."""


def configured() -> list[Opened]:
    """The platforms with settings for pulling. Raises SettingsError."""
    return [opened for platform in PLATFORMS if (opened := platform.open()) is not None]


def pulls(
    platforms: Sequence[Opened], ingest: Ingest, store: DurableStore, metrics: Metrics, data_dir: Path
) -> list[Coroutine[Any, Any, None]]:
    """The loops, to run concurrently. Cancel and await them before the store stops."""
    sources = [source for platform in platforms for source in platform.sources]
    if not sources:
        return []
    keep, note = keeping(ingest), _counting(metrics)

    def can_keep() -> bool:
        return store.database_takes or store.spool_takes

    return [
        run_pull(source, keep, AnswerJournal(data_dir / "pull", source.path), can_keep=can_keep, note=note(source.path))
        for source in sources
    ]


def keeping(ingest: Ingest) -> Keep:
    """A function that keeps an answer like a callback."""

    async def keep(inbound: Inbound) -> None:
        await ingest.accept(inbound)

    return keep


def _counting(metrics: Metrics) -> Callable[[str], Note]:
    names = ("source", "outcome")
    calls = Counter(
        "receiver_pull_calls", "Calls to a platform's API, by how they ended.", names, registry=metrics.registry
    )
    items = Counter("receiver_pull_items", "What they handed out and is kept.", names[:1], registry=metrics.registry)

    def of_source(path: str) -> Note:
        def note(outcome: Outcome, count: int) -> None:
            calls.labels(path, outcome).inc()
            items.labels(path).inc(count)

        return note

    return of_source
