"""A database's URL with several hosts, in libpq's two forms, and what it says of them. Pure.

`postgresql://user:password@a:5432,b:5433/sms?target_session_attrs=read-write`
`postgresql:///sms?host=a,b&port=5432,5433&user=user&password=password`
"""

import re
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode

from receiver.addresses import is_loopback

_ATTRS: Final = "target_session_attrs"

LOCAL: Final = "the local socket"
"""The place of a URL without a host."""


class Wanted(StrEnum):
    """The server among several (libpq, `target_session_attrs`)."""

    ANY = "any"
    PRIMARY = "primary"
    STANDBY = "standby"
    PREFER_STANDBY = "prefer-standby"
    READ_WRITE = "read-write"
    READ_ONLY = "read-only"


def each(url: str) -> list[str]:
    """The URL of each host, in their order; of one host, or of hosts and ports that do not match, the URL itself (an
    address of IPv6 in the query gets its brackets).

    Which of several it should be is for the caller to choose, so each URL takes its host as it is.
    """
    parts = _parts(url)
    login, at, hosts = parts.netloc.rpartition("@")
    query = [(name, value) for name, value in _query(parts) if name != _ATTRS]
    query.append((_ATTRS, Wanted.ANY))
    if "," in hosts:
        return [_joined(parts, f"{login}{at}{host}", query) for host in hosts.split(",")]
    given = dict(query)
    named = [] if hosts else given.get("host", "").split(",")
    ports = given.get("port", "").split(",")
    as_it_is = named == [_bracketed(host) for host in named[:1]]  # none, or one that wants no brackets
    if as_it_is or len(ports) not in (1, len(named)):
        return [url]
    ports = ports * len(named) if len(ports) == 1 else ports
    others = [(name, value) for name, value in query if name not in ("host", "port")]
    return [
        _joined(parts, parts.netloc, [*others, ("host", _bracketed(host)), *([("port", port)] if port else [])])
        for host, port in zip(named, ports, strict=True)
    ]


def wanted(url: str) -> Wanted:
    """The server that the URL asks for. Raises ValueError."""
    asked = dict(_query(_parts(url))).get(_ATTRS)
    try:
        return Wanted(asked or Wanted.ANY)
    except ValueError:
        known = ", ".join(Wanted)
        raise ValueError(f"{_ATTRS}={asked} is unknown: it is one of {known}") from None


def place(url: str) -> str:
    """Host and port, of each server that the URL names; without user and password."""
    parts = _parts(url)
    if given := unquote(parts.netloc.rpartition("@")[2]):
        return given
    query = parse_qs(parts.query)
    hosts = query.get("host", [""])[-1]
    ports = query.get("port", [""])[-1].split(",")
    if not hosts:
        return LOCAL
    return ",".join(_with_port(host, ports[min(at, len(ports) - 1)]) for at, host in enumerate(hosts.split(",")))


def is_local(url: str) -> bool:
    """Whether every host is this machine: a socket, or an address of the loopback."""
    return all(name == LOCAL or name.startswith("/") or is_loopback(name) for name in host_names(url))


def host_names(url: str) -> list[str]:
    """The host of each server without its port; a socket's is its folder."""
    return [_without_port(place(one)) for one in each(url)]


def user(url: str) -> str | None:
    """The login."""
    parts = _parts(url)
    return unquote(parts.username or "") or dict(_query(parts)).get("user")


def database(url: str) -> str | None:
    """The database's name."""
    parts = _parts(url)
    query = dict(_query(parts))
    return unquote(parts.path.removeprefix("/")) or query.get("dbname") or query.get("database")


def passwords(url: str) -> set[str]:
    """The password, as it is written in the URL and as it is meant."""
    parts = _parts(url)
    written = {parts.password} if parts.password else set()
    for piece in parts.query.split("&"):
        name, _, value = piece.partition("=")
        if name in ("password", "sslpassword") and value:
            written |= {value, value.replace("+", " ")}
    return written | {unquote(one) for one in written}


def without_password(url: str) -> str:
    """User, hosts and database: a password may also stand in the query."""
    parts = _parts(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{login.partition(':')[0]}{at}{hosts}{parts.path}"


def _parts(url: str) -> SplitResult:
    """As `urlsplit`, for which in newer versions of Python the brackets of one among several hosts are wrong."""
    scheme, _, rest = re.sub(r"(?s)[\t\r\n]|#.*", "", url).partition("://")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme, netloc, slash + path, query, "")


def _query(parts: SplitResult) -> list[tuple[str, str]]:
    return parse_qsl(parts.query, keep_blank_values=True)


def _joined(parts: SplitResult, netloc: str, query: list[tuple[str, str]]) -> str:
    return f"{parts.scheme}://{netloc}{parts.path}?{urlencode(query)}"


def _with_port(host: str, port: str) -> str:
    return f"{_bracketed(host)}:{port}" if port and not host.startswith("/") else host


def _bracketed(host: str) -> str:
    """An address of IPv6 in brackets: libpq takes it without, the driver reads its end as a port."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith(("[", "/")) else host


def _without_port(named: str) -> str:
    if named.startswith("["):
        return named[1:].partition("]")[0]
    return named.partition(":")[0] or named
