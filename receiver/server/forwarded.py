"""The client's address behind proxies: `X-Forwarded-For`, or `Forwarded` (RFC 7239).

Anybody can write these headers, so they count only as far as trusted proxies wrote them. Each proxy appends the address
that called it. We begin with the peer of the connection; while the current address is a trusted proxy, the next one
from the right called it. Everything to the left of the first untrusted address may be forged by its sender.

An unreadable entry ends the walk with the last address that was read. If both headers are present and lead to different
addresses, the proxies wrote one and passed on the other: then the answer is the peer.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from receiver.addresses import Address, Networks, parse_address

MAX_HOPS: Final = 32
"""Most proxies between a client and us."""

_NODE: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}|([0-9A-Fa-f:.]+)", re.ASCII)
"""An address, bare or with a port; IPv6 with a port is in brackets (RFC 7239, section 6)."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's grammar has a "token" (RFC 9110, section 5.6.2)
_VALUE: Final = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_PAIR: Final = rf"{_TOKEN}={_VALUE}"
_ELEMENT: Final = re.compile(rf"[ \t]*({_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*)[ \t]*(?:,|$)", re.ASCII)
_NAMED: Final = re.compile(rf"({_TOKEN})=({_VALUE})", re.ASCII)


def client_address(
    peer: str | None, trusted: Networks, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()
) -> str | None:
    """The client's address, from the peer and the lines of both headers; a peer that is no proxy is the client."""
    nearest = None if peer is None else parse_address(peer)
    if nearest is None or nearest not in trusted:
        return peer
    walks = []
    if forwarded_for:
        walks.append(_walk(nearest, trusted, _from_the_right(forwarded_for)))
    if forwarded:
        walks.append(_walk(nearest, trusted, _forwarded_from_the_right(forwarded)))
    return str(walks[0]) if len(set(walks)) == 1 else peer


def _walk(nearest: Address, trusted: Networks, callers: Iterator[str | None]) -> Address:
    """The first address that is no trusted proxy, or the last readable one."""
    address = nearest
    for _, caller in zip(range(MAX_HOPS), callers, strict=False):
        found = None if caller is None else _node(caller)
        if found is None:
            break
        address = found
        if address not in trusted:
            break
    return address


def _from_the_right(lines: Sequence[str]) -> Iterator[str | None]:
    """Several lines are one list (RFC 9110, section 5.3)."""
    for line in reversed(lines):
        for node in reversed(line.split(",")):
            yield node.strip(" \t")


def _forwarded_from_the_right(lines: Sequence[str]) -> Iterator[str | None]:
    """The `for` value of each element; None for an element without one, and for a line outside the grammar."""
    for line in reversed(lines):
        yield from reversed(_elements(line))


def _elements(line: str) -> list[str | None]:
    """Parsed from the left, as quotes and backslashes require. A line outside the grammar is one None."""
    found: list[str | None] = []
    position = 0
    while position < len(line):
        element = _ELEMENT.match(line, position)
        if element is None:
            return [None]
        values = [value for name, value in _NAMED.findall(element[1]) if name.lower() == "for"]
        found.append(_unquoted(values[0]) if len(values) == 1 else None)
        position = element.end()
    return found or [None]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _node(text: str) -> Address | None:
    """The address; None for `unknown`, for an obfuscated one (`_hidden`), and for text outside the grammar."""
    match = _NODE.fullmatch(text)
    return None if match is None else parse_address(match[1] or match[2] or match[3])
