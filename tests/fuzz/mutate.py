"""Mutations of bytes. Every choice is the dice's, so that a seed and a number make the same bytes again."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

MAX_BYTES: Final = 300_000
"""A body may be 1 MiB; that it is bounded is another test's story."""

TOKENS: Final = (
    *b'null true {} [] [[]] NaN -Infinity 1e999999 -0 " \\ \\u0000" "\\ud800" \\udc00\\ud800 % %00 %ff'.split(),
    *b"+ & = &&== ; DELIVRD SMS_PUSH_REPORT +8615512345678 2147483648 18446744073709551616 __proto__".split(),
    *(
        b"9" * 400,
        b"0." + b"3" * 400,
        b"[" * 200,
        b"\r\n",
        b"\r",
        b"\n",
        b"\x1b[31m",
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\xd9\xa3\xd9\xa4", b"\xc2\xb2"),
    *(b"2024-02-30T25:00:00Z", b"9999-12-31 23:59:59", b"0001-01-01 00:00:00"),
)
SCALARS: Final[Sequence[Any]] = (
    *(None, True, 0, -1, 65_536, 2**31, 2**63, 2**64, 10**400, 1e308, -0.0, [], {}, [[]], {"": {}}),
    *("", "\0", "\ud800", "\u202e", "x" * 5_000, "9" * 5_000, "+86", "٣٤٥", "²\x07\x1b[31m", "DELIVRD"),
    *("2024-02-30T25:00:00Z", "9999-12-31 23:59:59", "0000-00-00 00:00:00", "0001-01-01 00:00:00"),
)

Mutation = Callable[[Random, bytes], bytes]


def mutated(dice: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """The body after a few mutations, seldom none; `others` are bodies to splice in."""
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 8))):
        if dice.random() < 0.15:
            other = dice.choice(others)
            at = dice.randrange(len(body) + 1)
            body = body[:at] + other[dice.randrange(len(other) + 1) :]
        else:
            body = dice.choice(_MUTATIONS)(dice, body)
        body = body[:MAX_BYTES]
    return body


def _span(dice: Random, body: bytes) -> tuple[int, int]:
    at = dice.randrange(len(body) + 1)
    return at, min(len(body), at + dice.choice((0, 1, 2, 8, 40, 400)))


def _flip(dice: Random, body: bytes) -> bytes:
    if not body:
        return b"\0"
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << dice.randrange(8)]) + body[at + 1 :]


def _cut(dice: Random, body: bytes) -> bytes:
    return body[: dice.randrange(len(body) + 1)]


def _delete(dice: Random, body: bytes) -> bytes:
    at, to = _span(dice, body)
    return body[:at] + body[to:]


def _repeat(dice: Random, body: bytes) -> bytes:
    at, to = _span(dice, body)
    return body[:at] + body[at:to] * dice.choice((2, 3, 50, 2_000)) + body[to:]


def _token(dice: Random, body: bytes) -> bytes:
    at, to = _span(dice, body)
    return body[:at] + dice.choice(TOKENS) + body[to if dice.random() < 0.5 else at :]


def _noise(dice: Random, body: bytes) -> bytes:
    at, to = _span(dice, body)
    return body[:at] + dice.randbytes(dice.randrange(40)) + body[to:]


def _value(dice: Random, body: bytes) -> bytes:
    """Another value somewhere within; the body stays well-formed, JSON or form."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _field(dice, body)
    try:
        return json.dumps(_changed(dice, value), ensure_ascii=dice.random() < 0.7).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return body


def _changed(dice: Random, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or dice.random() < 0.1:
        return dice.choice(SCALARS)
    if isinstance(value, list):
        kind = dice.random()
        if kind < 0.2:
            return value * dice.choice((0, 2, 100))
        at = dice.randrange(len(value))
        return [*value[:at], _changed(dice, value[at]), *value[at + 1 :]]
    key = dice.choice(list(value))
    kind = dice.random()
    if kind < 0.15:
        return {name: inner for name, inner in value.items() if name != key}
    if kind < 0.3:
        return value | {str(dice.choice(SCALARS))[:100]: dice.choice(SCALARS)}
    return value | {key: _changed(dice, value[key])}


def _field(dice: Random, body: bytes) -> bytes:
    pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)[:200]
    if not pairs:
        return _noise(dice, body)
    at = dice.randrange(len(pairs))
    pairs[at] = (pairs[at][0], str(dice.choice(SCALARS)))
    if dice.random() < 0.3:
        pairs.append(dice.choice(pairs))
    return urlencode(pairs, errors="replace").encode()


_MUTATIONS: Final[tuple[Mutation, ...]] = (_flip, _cut, _delete, _repeat, _token, _noise, _value, _value, _value)
