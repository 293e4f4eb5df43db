"""BindAddress a listener is bound, and what is said where it cannot be."""

import errno
import socket
from collections.abc import Iterator

import pytest

from receiver.server.bind import BindAddress, ListenError, bind, bound, format_addresses
from receiver.settings import variable


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def closed(sockets: list[socket.socket]) -> str:
    """What they were bound to."""
    said = format_addresses(sockets)
    for one in sockets:
        one.close()
    return said


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "::", "::1"])
async def test_what_is_bound_is_shown_with_brackets_where_it_has_colons(host: str) -> None:
    sockets = await bind(BindAddress(host, 0), reuse_port=False)
    port = sockets[0].getsockname()[1]
    assert closed(sockets) == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


@pytest.mark.parametrize(
    ("host", "listener", "said"),
    [
        ("127.0.0.1", "host", "stop it, or set RECEIVER_PORT to a port that is free"),
        ("127.0.0.1", "ops_host", "set RECEIVER_OPS_PORT to a port that is free"),
        ("192.0.2.1", "host", "set RECEIVER_HOST to one that it has"),
        ("no such host", "host", "set RECEIVER_HOST to an address"),
    ],
    ids=["a port that is taken", "of the ops listener", "an address of somebody else", "no address"],
)
async def test_what_cannot_be_had_is_named_with_its_setting(taken: int, host: str, listener: str, said: str) -> None:
    names = (variable(listener), variable(listener.replace("host", "port")))
    with pytest.raises(ListenError, match=f"^{names[0]}={host}, {names[1]}={taken}: .*{said}") as raised:
        await bind(BindAddress(host, taken, listener), reuse_port=False)
    assert (raised.value.errno == errno.EADDRINUSE) == (host == "127.0.0.1")


@pytest.fixture
def only_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel says on a machine without IPv4."""
    real = socket.socket

    def without_ipv4(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr("receiver.server.bind.socket.socket", without_ipv4)


@pytest.mark.usefixtures("only_ipv6")
async def test_on_a_machine_with_only_ipv6_the_default_is_named_and_what_to_set() -> None:
    with pytest.raises(ListenError, match=r"^RECEIVER_HOST=0\.0\.0\.0, .*set RECEIVER_HOST to :: or ::1"):
        await bind(BindAddress("0.0.0.0", 0), reuse_port=False)


@pytest.mark.usefixtures("only_ipv6")
async def test_a_name_with_addresses_of_both_kinds_is_listened_on_where_the_machine_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [_found("127.0.0.1"), _found("::1")])
    assert closed(await bind(BindAddress("localhost", 0), reuse_port=False)).startswith("[::1]:")


def _found(host: str) -> tuple[int, int, int, str, tuple[str, int]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (host, 0)


async def test_nobody_is_let_in_before_the_service_can_keep_something() -> None:
    async with bound(BindAddress("127.0.0.1", 0), reuse_port=False) as held:
        address = held.sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        held.listen()
        socket.create_connection(address).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_who_began_to_listen_in_the_meantime_is_told_of_too() -> None:
    """The kernel lets two have a port, of whom neither listens yet."""
    async with bound(BindAddress("127.0.0.1", 0), reuse_port=False) as held:
        port = held.sockets[0].getsockname()[1]
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(ListenError, match="set RECEIVER_PORT to a port that is free"),
        ):
            held.listen()
