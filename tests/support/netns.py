"""Machines on one network, each a network namespace of the test's own: routed by a hub, and cut off from each other.

The test's main thread enters the hub, and with it what it starts and connects to; nothing of the machine's own network
changes, and the kernel takes everything away with the last process in it. Needs root.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

HUB: Final = "192.0.2.254"
"""The test's and the receiver's own address, which every machine reaches as long as it is there."""

_CLONE_NEWNET: Final = 0x40000000
_TIMEOUT_S: Final = 20
_OWN: Final = Path("/proc/thread-self/ns/net")
_libc: Final = ctypes.CDLL(None, use_errno=True)


class NoNamespacesError(Exception):
    """This machine, or this account, may not make them."""


class Network:
    """As `made` makes it; `addresses` by name of the machine. `entered` first."""

    def __init__(self, ip: Sequence[str], names: Sequence[str], stack: ExitStack) -> None:
        """`ip` is how to call iproute2's. Raises NoNamespacesError."""
        self._ip = ip
        self.addresses = {name: f"192.0.2.{number}" for number, name in enumerate(names, 1)}
        try:
            self._hub = _new_namespace(stack)
            self._machines = {name: _new_namespace(stack) for name in names}
            with _inside(self._hub):
                self._build()
        except (OSError, subprocess.SubprocessError) as error:
            raise NoNamespacesError(f"network namespaces cannot be made here: {error}") from error

    def _build(self) -> None:
        self._run("link set lo up", f"addr add {HUB}/32 dev lo")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        for name, address in self.addresses.items():
            fd = self._machines[name]
            self._run(f"link add {name} type veth peer name up0", f"link set up0 netns /proc/{os.getpid()}/fd/{fd}")
            self._run(f"link set {name} up", f"route add {address}/32 dev {name} src {HUB}")
            with _inside(fd):
                self._run("link set lo up", f"addr add {address}/32 dev up0", "link set up0 up")
                self._run(f"route add default via {HUB} dev up0 onlink")

    def _run(self, *commands: str) -> None:
        for command in commands:
            call = [*self._ip, *command.split()]
            done = subprocess.run(call, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
            if done.returncode:
                raise OSError(f"ip {command}: {done.stderr.strip()}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The block's sockets and processes are at the hub. In the main thread."""
        with _inside(self._hub):
            yield

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """What the block starts, it starts on that machine. Nothing may be awaited in it."""
        with _inside(self._machines[name]):
            yield

    def isolate(self, name: str) -> None:
        """The others and this machine no longer hear each other, and nothing tells them; the hub hears all."""
        self._rules("add", name)

    def join(self, name: str) -> None:
        """Undo `isolate`."""
        self._rules("del", name)

    def _rules(self, verb: str, name: str) -> None:
        with self.entered():
            self._run(f"rule {verb} iif {name} prio 101 blackhole")
            for other in self.addresses.keys() - {name}:
                self._run(f"rule {verb} iif {other} to {self.addresses[name]} prio 100 blackhole")

    def power(self, name: str, *, on: bool) -> None:
        """Off: nobody answers at its address any more, not even its kernel."""
        with self.at(name):
            self._run(f"link set up0 {'up' if on else 'down'}")
            if on:
                self._run(f"route add default via {HUB} dev up0 onlink")


@contextmanager
def made(ip: Sequence[str], names: Sequence[str]) -> Iterator[Network]:
    """A network of these machines. Raises NoNamespacesError."""
    with ExitStack() as stack:
        yield Network(ip, names, stack)


def _new_namespace(stack: ExitStack) -> int:
    """A descriptor of it, which keeps it."""
    own = os.open(_OWN, os.O_RDONLY)
    try:
        _checked(_libc.unshare(_CLONE_NEWNET))
        try:
            fd = os.open(_OWN, os.O_RDONLY)
        finally:
            _checked(_libc.setns(own, _CLONE_NEWNET))
    finally:
        os.close(own)
    stack.callback(os.close, fd)
    return fd


@contextmanager
def _inside(fd: int) -> Iterator[None]:
    own = os.open(_OWN, os.O_RDONLY)
    try:
        _checked(_libc.setns(fd, _CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_libc.setns(own, _CLONE_NEWNET))
    finally:
        os.close(own)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
