"""The messages between the supervisor and a worker, as JSON and as Python has them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from prometheus_client import Metric

from receiver.ingest.recent import Event, Events
from receiver.store.spool_file import Depth

Message = Mapping[str, Any]
Families = Sequence[Metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The first message to a worker. `sockets` are the descriptors of the listening sockets, which it inherits."""

    slot: int
    workers: int
    database_url: str
    database_setting: str
    data_dir: Path
    sockets: Sequence[int]

    def as_message(self) -> Message:
        """As JSON types."""
        return asdict(self) | {"data_dir": str(self.data_dir)}

    @classmethod
    def of(cls, message: Message) -> Self:
        """From a message; fields of a newer supervisor are ignored."""
        known = {name: message[name] for name in cls.__slots__}
        return cls(**known | {"data_dir": Path(message["data_dir"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a worker tells of itself: as `web.view.Health`, and its metrics."""

    database: bool
    spool: bool
    depth: Depth
    metrics: Families

    def as_message(self) -> Message:
        """As JSON types."""
        families = [
            (family.name, family.documentation, family.type, [(s.name, s.labels, s.value) for s in family.samples])
            for family in self.metrics
        ]
        return {"database": self.database, "spool": self.spool, "depth": self.depth.as_dict(), "metrics": families}

    @classmethod
    def of(cls, message: Message) -> Self:
        """From a message."""
        oldest = message["depth"]["oldest"]
        depth = Depth(**message["depth"] | {"oldest": oldest and datetime.fromisoformat(oldest)})
        metrics = list(_families(message["metrics"]))
        return cls(database=message["database"], spool=message["spool"], depth=depth, metrics=metrics)


def events_as_message(page: Events) -> Message:
    """As JSON types."""
    return page._asdict() | {"events": [tuple(event) for event in page.events]}


def events_of(message: Message) -> Events:
    """From a message."""
    return Events([Event(*row) for row in message["events"]], message["missed"], message["position"])


def _families(data: Sequence[Any]) -> Iterable[Metric]:
    for name, documentation, kind, samples in data:
        family = Metric(name, documentation, kind)
        for sample, labels, value in samples:
            family.add_sample(sample, labels, math.nan if value is None else value)  # JSON has no NaN
        yield family
