"""What nobody can measure here: the traffic, how much room is left, and what a machine's disk and network do."""

from dataclasses import dataclass, field, fields
from typing import Any, Final

HOURS: Final = (
    0.25, 0.15, 0.10, 0.10, 0.15, 0.30, 0.60, 0.95, 1.35, 1.75, 1.90, 1.65,
    1.35, 1.25, 1.35, 1.45, 1.50, 1.55, 1.60, 1.55, 1.30, 0.90, 0.60, 0.35,
)  # fmt: skip
"""Reports of each hour of a day, 1 being the mean: a sender of one time zone, with a peak in the morning."""

RETENTION_HOURS: Final = (2, 3, 4)
"""In which `receiver maintain` removes the oldest day."""


def _assumed(what: str, default: float, least: float = 0, most: float = 1) -> Any:
    return field(default=default, metadata={"what": what, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Each is an option of `make plan`."""

    single: float = _assumed("Share of the reports that come one a callback; the others come in fifties.", 0.5)
    per_message: float = _assumed("Reports a message.", 1.23, 1, 512)
    duplicates: float = _assumed("Share of the reports that come again.", 0.01, 0, 0.9)
    retention_days: float = _assumed("Days that reports and messages are kept.", 30.0, 1, 3660)
    campaign: float = _assumed("The first ten minutes of an hour, beside the hour's mean.", 1.5, 1, 5.9)
    outage_share: float = _assumed("Share of the traffic that a platform holds back while it is away.", 0.5)
    outage_hour: int = _assumed("The hour in which it is away.", 9, 0, 22)
    catch_up_min: float = _assumed("Minutes in which it then sends what it held back.", 60.0, 5, 60)
    failover_s: float = _assumed("Seconds without a primary, at the worst moment of the day.", 30.0, 0, 3600)
    headroom: float = _assumed("Share of each machine that is free at the day's highest load.", 0.4, 0, 0.9)
    free_disk: float = _assumed("Share of each disk that stays free.", 0.25, 0, 0.9)
    spare: int = _assumed("Receivers that may be lost at the day's highest load.", 1, 0, 100)
    replicas: int = _assumed("Standbys of each PostgreSQL machine.", 1, 0, 5)
    shards: int = _assumed("Shards of Citus on each node, of each table.", 2, 1, 64)
    commit_ms: float = _assumed("Milliseconds that a commit waits: disk, network, synchronous standby.", 3.0, 0, 1000)
    read_us: float = _assumed("Microseconds to read a page that is not in memory.", 200.0, 0, 100_000)
    checkpoint_min: float = _assumed("Minutes between two checkpoints (checkpoint_timeout).", 15.0, 1, 1440)
    vacuums: float = _assumed("Times a day that autovacuum reads the messages' key.", 2.0, 0, 24)
    cache: float = _assumed("Share of PostgreSQL's memory that holds pages.", 0.75)
    core: float = _assumed("A rented vCPU's work, beside that of a core of the measurements.", 1.0, 0.1, 10)
    price: float = _assumed("Prices beside those of the table.", 1.0, 0, 100)

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for one in fields(self):
            value, least, most = getattr(self, one.name), one.metadata["least"], one.metadata["most"]
            if not least <= value <= most:
                raise ValueError(f"{one.name} is {value:g}: it must be from {least:g} to {most:g}")
