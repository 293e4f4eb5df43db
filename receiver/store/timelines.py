"""The highest timeline that was seen of each database system: a server below it is an old primary.

PostgreSQL's timeline rises with each promotion. After an asynchronous failover the old primary may come back, or never
have been gone, and take writes that nobody will find.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from receiver.database_hosts import place
from receiver.store.standing import Standing
from receiver.telemetry.logs import get_logger

FILE_NAME: Final = "database-timelines.json"

_MOST_SYSTEMS: Final = 8
"""A service has one, and another after its database was made anew: the earliest are forgotten."""

_FIRST: Final = 1
"""No timeline is lower, so that there is nothing to remember."""

log = get_logger()


class Timelines:
    """What one process has seen. `changed` is set when there is more to remember; no I/O."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._highest = dict(known or {})
        self._stale: set[str] = set()
        self.changed = asyncio.Event()

    @property
    def known(self) -> dict[str, int]:
        """The highest timeline by system, as far as there is one to remember."""
        return {system: timeline for system, timeline in self._highest.items() if timeline > _FIRST}

    @property
    def stale(self) -> int:
        """Number of hosts that take writes on an old timeline, as of the last look at them."""
        return len(self._stale)

    def judge(self, url: str, found: Standing) -> str | None:
        """Why this host must not be written to, None if it may; a higher timeline than the known one is noted."""
        if found.system is None or found.timeline is None or not found.writable:
            self.gone(url)
            return None
        newest = self._highest.get(found.system, 0)
        if found.timeline < newest:
            self._found_stale(place(url), found.timeline, newest)
            return (
                f"it is an old primary: it writes timeline {found.timeline}, and timeline {newest} has been seen; "
                f"shut it down, or remove {FILE_NAME} from RECEIVER_DATA_DIR if it is meant"
            )
        if found.timeline > newest:
            self._note(found.system, found.timeline)
        self.gone(url)
        return None

    def is_old(self, found: Standing) -> bool:
        """Whether a later promotion has been seen."""
        return found.timeline is not None and found.timeline < self._highest.get(found.system or "", 0)

    def gone(self, url: str) -> None:
        """The host does not take writes on an old timeline, or not any longer."""
        if (host := place(url)) in self._stale:
            self._stale.remove(host)
            log.info("database.stale_primary_gone", host=host)

    def learn(self, known: Mapping[str, int]) -> None:
        """What the file has, of another process perhaps."""
        for system, timeline in known.items():
            self._highest[system] = max(timeline, self._highest.get(system, 0))

    def forget(self) -> None:
        """An operator has removed the file: what is connected to next is right."""
        self._highest.clear()

    def _note(self, system: str, timeline: int) -> None:
        self._highest[system] = timeline
        for earliest in list(self._highest)[:-_MOST_SYSTEMS]:
            del self._highest[earliest]
        self.changed.set()

    def _found_stale(self, host: str, timeline: int, newest: int) -> None:
        if host not in self._stale:
            self._stale.add(host)
            log.error("database.stale_primary", host=host, timeline=timeline, newest=newest)


def load(folder: Path) -> dict[str, int] | None:
    """What is in the file; None without one, and nothing of one that cannot be read."""
    try:
        known = json.loads((folder / FILE_NAME).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    pairs = known.items() if isinstance(known, dict) else ()
    return {system: timeline for system, timeline in pairs if isinstance(timeline, int)}


def was_removed(before: Mapping[str, int] | None, there: Mapping[str, int] | None) -> bool:
    """Whether somebody has removed the file since.

    Another process may have noticed that first, and have made a new one: a timeline in the file only rises otherwise.
    """
    if before is None:
        return False
    return there is None or any(there.get(system, timeline) < timeline for system, timeline in before.items())


def save(folder: Path, known: Mapping[str, int]) -> dict[str, int]:
    """Beside what other processes have seen, which is returned with it; whole or not at all. Raises OSError."""
    merged = dict(load(folder) or {})
    for system, timeline in known.items():
        merged[system] = max(timeline, merged.get(system, 0))
    made = folder / f"{FILE_NAME}.{os.getpid()}"
    try:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            json.dump(merged, file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(folder / FILE_NAME)
    except OSError:
        with suppress(OSError):
            made.unlink()
        raise
    return merged
