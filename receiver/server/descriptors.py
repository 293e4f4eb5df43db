"""File descriptors: each connection takes one, and where none is left not even a commit can be made."""

import resource
from typing import Final

from receiver.server.limiter import BURST
from receiver.telemetry.logs import get_logger

_OTHERS: Final = 512
"""For PostgreSQL, the spool, logs, the ops listener, and connections that are being accepted or closed."""

log = get_logger()


def raise_nofile_limit(connections: int, *, entering: int = 0) -> int:
    """How many connections there can be, so many at most; the soft limit is raised for them where that is allowed.

    `entering` are accepted but not let in yet (`acceptor.places`): fewer where there are fewer connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets = connections + connections // BURST + entering
    wanted = sockets + _OTHERS
    if _holds(soft, wanted):
        return connections
    if _holds(hard, wanted):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    possible = max(hard - _OTHERS, hard // 2) * connections // sockets
    log.warning("connections.limited", wanted=connections, possible=possible, descriptors=hard)
    return possible


def _holds(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
