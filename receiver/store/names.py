"""Host names are looked up before the driver does it, which leaves the thread of a look-up behind when it gives up.

While the name service is away a look-up takes ten seconds or more, and an attempt to connect gives up earlier. So each
name has one look-up at a time, and all attempts wait for that: in a thread of its own, for the event loop's few threads
have other work, and without an end to wait for when the process ends.
"""

import asyncio
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from receiver.database_hosts import LOCAL, host_names

_QUICKLY_S: Final = 1.0

_under_way: Final[dict[str, "Future[None]"]] = {}
_turn: Final = threading.Lock()


async def look_up(url: str) -> None:
    """Returns once the name service has answered for each host of the URL. Raises its error where that took long.

    One that came quickly is left to the driver, which says first what is wrong with the URL itself.
    """
    for host in host_names(url):
        if _is_name(host):
            await asyncio.wrap_future(_look_up(host))


def _is_name(host: str) -> bool:
    if host == LOCAL or "/" in host or "," in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _look_up(host: str) -> "Future[None]":
    """The look-up of this name that is under way, or a new one."""
    with _turn:
        if host in _under_way:
            return _under_way[host]
        found: Future[None] = Future()
        found.set_running_or_notify_cancel()  # whoever stops waiting cancels it for nobody else
        try:
            threading.Thread(target=_run, args=(host, found), name="look-up of a host", daemon=True).start()
        except RuntimeError as error:  # it may pass, and must not be taken for a fault of what was to be written
            raise OSError(f"no look-up of {host}: {error}") from error
        _under_way[host] = found
    return found


def _run(host: str, found: "Future[None]") -> None:
    error: OSError | None = None
    began = time.monotonic()
    with suppress(ValueError):  # it is no name
        try:
            socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as failed:
            error = failed if time.monotonic() - began > _QUICKLY_S else None
    with _turn:
        del _under_way[host]
    if error is None:
        found.set_result(None)
    else:
        found.set_exception(error)
