"""What a service has written down about the promotions of its PostgreSQL."""

from pathlib import Path

from receiver.store import standing, timelines
from support.cluster import Cluster
from support.databases import connected


async def remembered(folder: Path, promoted: Cluster) -> bool:
    """Whether that promotion is in the service's data folder; it tells of one a moment earlier.

    The file may be there before, with an earlier promotion.
    """
    async with connected(promoted.socket_url("postgres")) as sql:
        found = await standing.ask(sql)
    return (timelines.load(folder) or {}).get(found.system or "") == found.timeline
