"""IP addresses as settings, headers and sockets write them, and sets of networks."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED_BITS: Final = 96
"""Prefix length of `::ffff:0:0/96`, the IPv4-mapped addresses (RFC 4291, section 2.5.5.2)."""

_SITE_BITS: Final = 64
"""Prefix length of the smallest IPv6 site: one client controls all of its addresses (RFC 4291, section 2.5.1)."""

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""Wildcard address of a listener → an address at which this machine reaches it."""

_CACHE_SIZE: Final = 2_048


def parse_address(text: str) -> Address | None:
    """The address, an IPv4-mapped one as IPv4; None for other text, and for a zone (`fe80::1%eth0`)."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address


def is_loopback(host: str) -> bool:
    """Whether a listener on `host`, a name or an address, is reachable from this machine alone."""
    address = parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32` or one address; an IPv4-mapped network as IPv4. Raises ValueError."""
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def socket_address(peer: object) -> str | None:
    """The IP address in a socket's name, without a zone, an IPv4-mapped one as IPv4; None for other sockets."""
    if not isinstance(peer, tuple) or not peer:
        return None
    host = str(peer[0])
    if ":" not in host:
        return host
    address = parse_address(host.partition("%")[0])
    return None if address is None else str(address)


def url_of(host: str, port: int, *, scheme: str = "http") -> str:
    """A listener's URL from this machine, an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    name = _WILDCARDS.get(host, host)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


@lru_cache(maxsize=_CACHE_SIZE)
def client_key(address: str) -> str:
    """Key under which a client is counted: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    return str(ip_network((address, _SITE_BITS), strict=False))


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """A set of networks; compared by identity, which makes it a cheap cache key."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Networks":
        """From texts as in a setting. Raises ValueError."""
        return cls(tuple(parse_network(text) for text in texts))

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def __bool__(self) -> bool:
        return bool(self.networks)

    def has(self, address: str | None) -> bool:
        """As `in`, for an address as text; None is in no network."""
        return address is not None and _has(self, address)


@lru_cache(maxsize=_CACHE_SIZE)
def _has(networks: Networks, address: str) -> bool:
    parsed = parse_address(address)
    return parsed is not None and parsed in networks
