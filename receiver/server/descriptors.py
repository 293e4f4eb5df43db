"""File descriptors: each connection takes one, and without a free one even a commit fails."""

import resource
from typing import Final

from receiver.server.limiter import BURST
from receiver.telemetry.logs import get_logger

_RESERVED: Final = 512
"""For PostgreSQL, the spool, logs, the ops listener, and connections that are being accepted or closed."""

log = get_logger()


def raise_nofile_limit(connections: int, *, handshaking: int = 0) -> int:
    """Raise RLIMIT_NOFILE's soft limit for so many connections; the number that the hard limit allows, at most these.

    `handshaking` is the number of further sockets before and in the TLS handshake (`acceptor.handshake_limits`).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors_for(connections, handshaking=handshaking)
    if _suffices(soft, wanted):
        return connections
    if _suffices(hard, wanted):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    possible = max(hard - _RESERVED, hard // 2) * connections // (wanted - _RESERVED)
    log.warning("connections.limited", wanted=connections, possible=possible, descriptors=hard)
    return possible


def descriptors_for(connections: int, *, handshaking: int = 0) -> int:
    """Descriptors that a process with so many connections takes at most."""
    return connections + connections // BURST + handshaking + _RESERVED


def missing_descriptors(connections: int, *, handshaking: int = 0) -> int:
    """How many of these the hard limit does not allow."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors_for(connections, handshaking=handshaking)
    return 0 if _suffices(hard, wanted) else wanted - hard


def _suffices(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
