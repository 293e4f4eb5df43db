"""Bound sockets, and errors that name the setting to change where none can be made."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from receiver.addresses import url_of
from receiver.errors import OperatorError
from receiver.settings import variable

_BACKLOG: Final = 4_096
"""Connections that the kernel queues for `accept`; its own limit may be lower (`net.core.somaxconn`)."""

_NOT_HERE: Final = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
"""The machine has no such address, or no addresses of that family."""

_ADVICE: Final = {
    errno.EADDRINUSE: "something listens there already: stop it, or set {port} to a port that is free",
    errno.EADDRNOTAVAIL: "this machine has no such address: set {host} to one that it has, :: for all of IPv6",
    errno.EAFNOSUPPORT: "this machine has no addresses of that family: set {host} to :: or ::1 where it has only IPv6",
    errno.EACCES: "this user may not have that port: set {port} to one of 1024 or more",
    socket.EAI_NONAME: "nothing is known by that name: set {host} to an address",
}
_OTHERWISE: Final = "set {host} and {port} to an address and a port that can be listened on"


class BindAddress(NamedTuple):
    """Address to listen on. `name` is the host's setting, `host` or `ops_host`; the port's has the same prefix."""

    host: str
    port: int
    name: str = "host"

    @property
    def host_variable(self) -> str:
        """The environment variable of the host."""
        return variable(self.name)

    @property
    def port_variable(self) -> str:
        """The environment variable of the port."""
        return variable(f"{self.name.removesuffix('host')}port")


class ListenError(OperatorError, OSError):
    """The address cannot be listened on; the text names the settings, their values and a remedy."""

    def __init__(self, where: BindAddress, cause: OSError) -> None:
        said = (cause.strerror or str(cause)).lower()
        advice = _ADVICE.get(cause.errno or 0, _OTHERWISE)
        names = {"host": where.host_variable, "port": where.port_variable}
        super().__init__(
            cause.errno,
            f"{names['host']}={where.host}, {names['port']}={where.port}: cannot listen there ({said}); "
            f"{advice.format(**names)}",
        )

    def __str__(self) -> str:
        return str(self.strerror)


class BoundSockets(NamedTuple):
    """Sockets that hold their port but take no connections before `listen`. `shared`: other processes accept too."""

    where: BindAddress
    sockets: list[socket.socket]
    shared: bool = False

    def url(self, *, https: bool) -> str:
        """The URL to call them by, from this machine."""
        return url_of(self.where.host, self.sockets[0].getsockname()[1], scheme="https" if https else "http")

    def listen(self) -> None:
        """Take connections. Raises ListenError where another process began to listen on the port after the bind."""
        try:
            for one in self.sockets:
                one.listen(_BACKLOG)
        except OSError as error:
            raise ListenError(self.where, error) from error


@asynccontextmanager
async def bound(where: BindAddress, *, reuse_port: bool) -> AsyncIterator[BoundSockets]:
    """The sockets, closed when the block ends. Raises ListenError."""
    sockets = await bind(where, reuse_port=reuse_port)
    try:
        yield BoundSockets(where, sockets)
    finally:
        for one in sockets:
            one.close()


async def bind(where: BindAddress, *, reuse_port: bool) -> list[socket.socket]:
    """One bound socket per address of the host that this machine has, at least one. Raises ListenError."""
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _all_of(found, reuse_port=reuse_port)
    except OSError as error:
        raise ListenError(where, error) from error


def _all_of(found: list[Any], *, reuse_port: bool) -> list[socket.socket]:
    """Skip addresses that this machine lacks: `localhost` is 127.0.0.1 and ::1, and not every machine has both."""
    opened: list[socket.socket] = []
    missing: list[OSError] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                opened.append(_bound(family, kind, protocol, address, reuse_port=reuse_port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing.append(error)
    except BaseException:
        for one in opened:
            one.close()
        raise
    if not opened:
        raise missing[0]
    return opened


def _bound(family: int, kind: int, protocol: int, address: Any, *, reuse_port: bool) -> socket.socket:  # noqa: ANN401 - as the socket module has it
    one = socket.socket(family, kind, protocol)
    try:
        one.settimeout(0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except BaseException:
        one.close()
        raise
    return one


def format_addresses(sockets: list[socket.socket]) -> str:
    """The bound addresses: `0.0.0.0:8080`, `[::1]:8080`, several separated by commas."""
    names = [one.getsockname()[:2] for one in sockets]
    return ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in names)
