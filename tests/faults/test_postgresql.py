"""PostgreSQL dies, hangs, refuses or fills up under load: nobody is sent away, and nothing is lost or stored twice."""

import pytest
from support.faults import FAULTS
from support.rig import Loaded

BEYOND_EVERY_TIMEOUT_S = 4.5
"""An answer's deadline is 2 s; a statement's time-out is 1 s, and then connecting takes 3 s at most."""


@pytest.mark.parametrize(
    "faults",
    [
        {"postgresql killed": 1.0, "postgresql restarted": 1.0, "postgresql disk full": 1.0},
        {"backends terminated": 0.8, "no connections left": 0.8, "read-only": 0.8, "partition missing": 0.8},
        {"network cut": 1.0, "network reset": 1.0, "network delay 500 ms": 2.0},
        {"postgresql paused": BEYOND_EVERY_TIMEOUT_S, "network black hole": 1.5},
    ],
    ids=["down", "refusing", "cut", "silent"],
)
async def test_nobody_is_sent_away_and_nothing_is_lost(loaded: Loaded, faults: dict[str, float]) -> None:
    async with loaded() as rig:
        for name, seconds in faults.items():
            await rig.through(name, FAULTS[name](rig), seconds)
        await rig.check(every_one_ok=True)
