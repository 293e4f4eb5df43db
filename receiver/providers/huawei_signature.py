"""Push authentication of Huawei Cloud Message & SMS: does this callback carry the signature of one of our key pairs?

Off by default. Once it is switched on for an application, every push has two headers more (API Reference, appendix
AK/SK-based Pushing Authentication):

    X-Sdk-Date: 20261120T093000Z
    Authorization: SDK-HMAC-SHA256 Access=<ak>, SignedHeaders=content-type;host;x-sdk-date, Signature=<64 hex digits>

The signature is the platform's general one (API Request Signing Guide): HMAC-SHA256, with the secret as its key, over
three lines, `SDK-HMAC-SHA256`, the X-Sdk-Date and the SHA-256 of the canonical request, which is made of method, path,
query, signed headers, their names and the SHA-256 of the body. Pure: the caller brings the key pairs and the clock.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from receiver.providers.base import CheckBody, SignatureError, SignedHead

ALGORITHM: Final = "SDK-HMAC-SHA256"
WINDOW: Final = timedelta(minutes=15)
"""X-Sdk-Date may differ from now by this much, either way."""

_DATE: Final = "x-sdk-date"
_CONNECTION: Final = "connection"
_CONNECTIONS: Final = ("Keep-Alive", "close")
"""Values of the header Connection in the platform's documents."""

_CONTENT_HASH: Final = "x-sdk-content-sha256"
_MAX_NAME: Final = 32

_DATE_FORM: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE_FORM: Final = re.compile(r"[0-9a-f]{64}")
_NAME_FORM: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name in lower case (RFC 9110, 5.6.2)."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """The parsed Authorization header; names and `signature` in lower case."""

    access: str
    signed_headers: tuple[str, ...]
    signature: str


def verify(head: SignedHead, keys: Mapping[str, str], now: datetime) -> CheckBody:
    """Verify the head, with `keys` (Access → secret) and within the window; returns the check of the body.

    `now` is aware. Raises SignatureError if the head alone is wrong, so that a stranger's body need not be read. The
    body is always part of the signature: one that leaves it out is not accepted.
    """
    headers = _by_name(head.headers)
    claim = _claim(_single_header(headers, "authorization"))
    signed = [{name: _single_header(one, name) for name in claim.signed_headers} for one in _as_sent(headers)]
    if _DATE not in claim.signed_headers:
        # The date is signed in any case, but the platform's rules demand it here too.
        raise SignatureError(f"{_DATE} is not among the signed headers")
    _check_date(signed[0][_DATE], now)
    secret = _secret(keys, claim.access)
    if not secret:
        raise SignatureError("no key pair has this Access")

    def check(body: bytes) -> None:
        texts = (_string_to_sign(head, one, _body_hash(body, one.get(_CONTENT_HASH))) for one in signed)
        if not any(hmac.compare_digest(_signature(text, secret), claim.signature) for text in texts):
            raise SignatureError(
                "the signature does not fit: the secret is another one, or the path, the body or a signed header was "
                "changed on the way"
            )

    return check


def _by_name(headers: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name in lower case, stripped of surrounding blanks; inner blanks are significant."""
    by_name: dict[str, list[str]] = {}
    for name, value in headers:
        by_name.setdefault(name.lower(), []).append(value.strip(" \t\r\n"))
    return by_name


def _as_sent(headers: Mapping[str, list[str]]) -> list[Mapping[str, list[str]]]:
    """The headers as the platform may have sent them.

    It signs Connection, which many a proxy takes away, as it should (RFC 9110, 7.6.1): then it had one of two values.
    """
    if _CONNECTION in headers:
        return [headers]
    return [{**headers, _CONNECTION: [value]} for value in _CONNECTIONS]


def _single_header(headers: Mapping[str, list[str]], name: str) -> str:
    values = headers.get(name, [])
    if len(values) != 1:
        raise SignatureError(f"the header {name[:_MAX_NAME]} {'stands twice' if values else 'is missing'}")
    return values[0]


def _claim(authorization: str) -> _Claim:
    """The parsed Authorization header. Raises SignatureError for a malformed one."""
    parts = _parts(authorization)
    try:
        claim = _Claim(parts["access"], tuple(parts["signedheaders"].lower().split(";")), parts["signature"].lower())
    except KeyError:
        raise SignatureError("the Authorization header lacks Access, SignedHeaders or Signature") from None
    if not all(map(_NAME_FORM.fullmatch, claim.signed_headers)):
        raise SignatureError("SignedHeaders is no list of header names")
    if len(set(claim.signed_headers)) < len(claim.signed_headers):
        raise SignatureError("SignedHeaders names a header twice")
    if not _SIGNATURE_FORM.fullmatch(claim.signature):
        raise SignatureError("Signature is not 64 hexadecimal digits")
    return claim


def _parts(authorization: str) -> dict[str, str]:
    """`Access`, `SignedHeaders` and `Signature` by name in lower case: in any order, with or without quotes and blanks.

    Scheme and names are case-insensitive (RFC 9110, 11.1 and 11.2).
    """
    scheme, _, rest = authorization.replace("\t", " ").partition(" ")
    if scheme.upper() != ALGORITHM:
        raise SignatureError(f"the Authorization header is not of the scheme {ALGORITHM}")
    parts: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if not equals or name in parts:
            raise SignatureError("the Authorization header is malformed")
        parts[name] = value.strip().strip('"')
    return parts


def _check_date(date: str, now: datetime) -> None:
    try:
        # The pattern first: fromisoformat accepts more forms than the platform's.
        signed_at = datetime.fromisoformat(date) if _DATE_FORM.fullmatch(date) else None
    except ValueError:
        signed_at = None
    if signed_at is None:
        raise SignatureError(f"{_DATE} is not a time such as 20261120T093000Z")
    if abs(now - signed_at) > WINDOW:
        raise SignatureError(f"{_DATE} is more than 15 minutes from this machine's clock")


def _secret(keys: Mapping[str, str], access: str) -> str:
    """The secret of the pair, or an empty text. Every pair is compared, for a constant time."""
    given, secret = _encode(access), ""
    for known, its_secret in keys.items():
        if hmac.compare_digest(_encode(known), given):
            secret = its_secret
    return secret


def _signature(string_to_sign: str, secret: str) -> str:
    return hmac.new(_encode(secret), _encode(string_to_sign), hashlib.sha256).hexdigest()


def _string_to_sign(head: SignedHead, signed: Mapping[str, str], body_hash: str) -> str:
    """The three lines that are signed. `signed` has the headers in the signer's order."""
    canonical = (
        head.method,
        _canonical_path(head.raw_path),
        _canonical_query(head.raw_query),
        "".join(f"{name}:{value}\n" for name, value in signed.items()),
        ";".join(signed),
        body_hash,
    )
    return "\n".join((ALGORITHM, signed[_DATE], hashlib.sha256(_encode("\n".join(canonical))).hexdigest()))


def _body_hash(body: bytes, declared: str | None) -> str:
    """The body's hash in hex. The signers allow a header in its place, even `UNSIGNED-PAYLOAD`: here it must match."""
    computed = hashlib.sha256(body).hexdigest()
    if declared is not None and declared.lower() != computed:
        raise SignatureError(f"{_CONTENT_HASH} is not the hash of the body")
    return declared or computed


def _canonical_path(raw: str) -> str:
    """The path decoded and encoded again, always with a trailing `/`, which the URL itself may lack."""
    path = _reencode(raw, keep="/")
    return path if path.endswith("/") else path + "/"


def _canonical_query(raw: str) -> str:
    """The query sorted by encoded name, then value. A `+` is a literal plus: blanks are `%20`."""
    pieces = (piece.partition("=") for piece in raw.split("&") if piece)
    return "&".join(f"{name}={value}" for name, value in sorted((_reencode(n), _reencode(v)) for n, _, v in pieces))


def _reencode(raw: str, keep: str = "") -> str:
    """Decoded and percent-encoded again, except the unreserved characters of RFC 3986 and `keep`."""
    return quote_from_bytes(unquote_to_bytes(_encode(raw)), safe=keep)


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
