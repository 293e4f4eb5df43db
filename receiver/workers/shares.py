"""Limits are of the whole service: each process has a share.

A worker that replaces another lives beside it for some seconds, in which the sum is higher by one share.
"""

from typing import Final

from pydantic import ByteSize, SecretStr

from receiver.settings import Settings
from receiver.workers.messages import Assignment

_OF_WORKERS: Final = ("max_connections", "max_requests", "large_bodies_max_bytes")
"""Limits of the callback listener."""

_OF_ALL: Final = ("spool_max_bytes", "queue_max_reports")
"""Limits of a writer and its spool, which the supervisor has too."""


def processes(settings: Settings) -> int:
    """Workers and supervisor."""
    return settings.workers + 1


def of_supervisor(settings: Settings) -> Settings:
    """The supervisor's settings: its share of what it has like a worker."""
    return settings.model_copy(update=_divided(settings, _OF_ALL, processes(settings)))


def of_worker(settings: Settings, given: Assignment) -> Settings:
    """A worker's settings: its shares, and what the supervisor decides for all."""
    workers = given.workers
    shares = _divided(settings, _OF_ALL, workers + 1) | _divided(settings, _OF_WORKERS, workers)
    # One body must fit, or no worker could take it.
    large = max(int(shares["large_bodies_max_bytes"]), settings.max_body_bytes)
    per_address = settings.max_connections_per_address
    return settings.model_copy(
        update={
            **shares,
            "large_bodies_max_bytes": ByteSize(large),
            # Rounded up: a client's connections are spread by chance.
            "max_connections_per_address": per_address and -(-per_address // workers),
            "database_url": SecretStr(given.database_url),
            "data_dir": given.data_dir,
        }
    )


def _divided(settings: Settings, names: tuple[str, ...], among: int) -> dict[str, int]:
    """The share of each setting, at least 1."""
    found = {name: getattr(settings, name) for name in names}
    return {name: type(value)(max(1, value // among)) for name, value in found.items()}
