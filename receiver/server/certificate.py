"""Facts of a certificate that the `ssl` module does not give: its expiry and its kind of key.

X.509 is DER: tag, length, content. A certificate's first part (RFC 5280, 4.1) is, in this order: version (optional),
serial number, signature algorithm, issuer, validity, subject, key.
"""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_LONG_LENGTH: Final = 0x80
_FULL_YEAR: Final = len("YYYYMMDDHHMMSSZ")
_KINDS: Final = {
    bytes.fromhex("2a864886f70d010101"): "RSA",
    bytes.fromhex("2a864886f70d01010a"): "RSA",  # RSASSA-PSS
    bytes.fromhex("2a8648ce3d0201"): "ECDSA",
}


class Certificate(NamedTuple):
    """`kind` of the key: `RSA`, `ECDSA` or `other`."""

    path: Path
    kind: str
    expires_at: datetime


class CertificateError(Exception):
    """The file holds no readable certificate; the text says why."""


def read(path: Path) -> Certificate:
    """The first certificate of a PEM file: the server's own. Raises OSError, CertificateError."""
    try:
        return _certificate(path, ders(path)[0])
    except (ValueError, IndexError):
        raise CertificateError("holds no certificate in PEM") from None


def ders(path: Path) -> list[bytes]:
    """Every certificate of a PEM file, as DER, at least one. Raises OSError, CertificateError."""
    try:
        found = [ssl.PEM_cert_to_DER_cert(pem) for pem in _PEM.findall(path.read_text("latin-1"))]
    except ValueError:
        found = []
    if not found:
        raise CertificateError("holds no certificate in PEM")
    return found


def _certificate(path: Path, der: bytes) -> Certificate:
    signed = next(_inner(next(_inner(der))[1]))[1]
    parts = list(_inner(signed))
    first = int(parts[0][0] == _VERSION)
    validity, key = parts[first + 3][1], parts[first + 5][1]
    _, (tag, until) = _inner(validity)
    algorithm = next(_inner(next(_inner(key))[1]))[1]
    return Certificate(path, _KINDS.get(algorithm, "other"), _time(tag, until.decode("ascii")))


def _inner(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in a constructed one. Raises IndexError where lengths do not fit."""
    at = 0
    while at < len(content):
        tag, size, at = content[at], content[at + 1], at + 2
        if size & _LONG_LENGTH:
            octets = size - _LONG_LENGTH
            size, at = int.from_bytes(content[at : at + octets], "big"), at + octets
        if at + size > len(content):
            raise IndexError
        yield tag, content[at : at + size]
        at += size


def _time(tag: int, text: str) -> datetime:
    """UTCTime or GeneralizedTime; years of two digits are 1950 to 2049 (RFC 5280, 4.1.2.5.1)."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    if len(text) != _FULL_YEAR:
        raise ValueError(text)
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
