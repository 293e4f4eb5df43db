"""Whose request it is, when proxies stand between: `X-Forwarded-For`, or `Forwarded` (RFC 7239).

A header is anybody's to write, so it counts only as far as trusted proxies wrote it. Each proxy appends the address
that it was called from. We begin with the peer of the connection, and while the one that we have is a trusted proxy,
the next from the right is whom it was called by. What is left of the first that is none, its sender may have made up.

A header that cannot be read ends the walk: the last address is the answer. Where both headers are there, and do not
lead to the same address, one of them is not the proxies' own but came through them: then the answer is the peer.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from receiver.addresses import Address, Networks, parse_address

MAX_HOPS: Final = 32
"""Proxies that a request may come through."""

_NODE: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}|([0-9A-Fa-f:.]+)", re.ASCII)
"""An address: bare, or with a port; then IPv6 stands in brackets (RFC 7239, section 6)."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - what HTTP calls a token (RFC 9110, section 5.6.2)
_VALUE: Final = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_PAIR: Final = rf"{_TOKEN}={_VALUE}"
_ELEMENT: Final = re.compile(rf"[ \t]*({_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*)[ \t]*(?:,|$)", re.ASCII)
_NAMED: Final = re.compile(rf"({_TOKEN})=({_VALUE})", re.ASCII)


def client_address(
    peer: str | None, trusted: Networks, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()
) -> str | None:
    """The address of the client, of a peer and the lines of the two headers; the peer is no proxy: the peer itself."""
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
    """The first that is no trusted proxy, or the last that can be read."""
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
    """What each element has for `for`; None for an element without it, and for a line that breaks the grammar."""
    for line in reversed(lines):
        yield from reversed(_elements(line))


def _elements(line: str) -> list[str | None]:
    """From the left, since quotes and backslashes can be read in no other way. A broken line is one None."""
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
    """The address; None for `unknown`, for a name that hides one (`_hidden`), and for what is no node."""
    match = _NODE.fullmatch(text)
    return None if match is None else parse_address(match[1] or match[2] or match[3])
