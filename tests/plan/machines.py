"""Machines for rent, by what they can do: ASSUMPTIONS, to be replaced by those of your provider.

Prices are US dollars a month, written down in November 2026; one was looked up (docs/scaling.md). The low end is a
provider that rents by the month, the high end one of the large clouds, on demand. Who commits to a year pays a third to
a half less.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Machine:
    """`disk_tb` is the most that can be attached; rates are of disk and network, sustained."""

    cores: int
    memory_gb: int
    disk_tb: float
    write_mb_s: float
    pages_s: float
    network_mb_s: float
    dollars: tuple[float, float]

    @property
    def name(self) -> str:
        """As it is spoken of."""
        return f"{self.cores} vCPU {self.memory_gb} GB"


MACHINES: Final = (
    Machine(2, 8, 4, 125, 3_000, 60, (15, 75)),
    Machine(4, 16, 8, 200, 6_000, 120, (30, 150)),
    Machine(8, 32, 16, 300, 12_000, 300, (60, 300)),
    Machine(16, 128, 32, 600, 40_000, 600, (240, 800)),
    Machine(32, 256, 64, 1_000, 80_000, 1_200, (480, 1_600)),
    Machine(64, 512, 64, 2_000, 160_000, 2_500, (950, 3_200)),
)
"""From the smallest to the largest: each can do at least what the one before it can."""

SHARED: Final = MACHINES[:3]
"""Those on which the receiver and PostgreSQL may be together."""
RECEIVERS: Final = MACHINES[:3]
"""Those of receivers alone: beyond the largest they are several, as each may be lost."""
CITUS_NODE: Final = MACHINES[3]

DISK_DOLLARS: Final = (40.0, 125.0)
"""A month, a terabyte of SSD."""
ARCHIVE_DOLLARS: Final = (6.0, 25.0)
"""A month, a terabyte of object storage, for archived WAL and base backups."""
ARCHIVE_DAYS: Final = 7
