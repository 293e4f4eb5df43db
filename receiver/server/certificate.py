"""The end of a certificate's validity and the kind of its key, which the `ssl` module does not give."""

import re
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_KINDS: Final = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA",  # RSASSA-PSS
    "1.2.840.10045.2.1": "ECDSA",
}
"""Object identifiers of public keys (RFC 3279, 2.3; RFC 4055, 1.2; RFC 5480, 2.1.1)."""


class Certificate(NamedTuple):
    """`kind` is that of its key: `RSA`, `ECDSA` or `other`."""

    path: Path
    kind: str
    expires_at: datetime


class CertificateError(Exception):
    """The file holds no certificate; says why."""


def read(path: Path) -> Certificate:
    """The first certificate of the file: the server's own. Raises OSError, CertificateError."""
    from cryptography import x509  # noqa: PLC0415 - 14 MB, for a service that speaks TLS alone

    try:
        own = x509.load_der_x509_certificate(ders(path)[0])
        kind = _KINDS.get(own.public_key_algorithm_oid.dotted_string, "other")
        return Certificate(path, kind, own.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("holds no certificate in PEM") from None


def ders(path: Path) -> list[bytes]:
    """Every certificate of the file, as OpenSSL gets it. Raises OSError, CertificateError."""
    try:
        found = [ssl.PEM_cert_to_DER_cert(pem) for pem in _PEM.findall(path.read_text("latin-1"))]
    except ValueError:
        found = []
    if not found:
        raise CertificateError("holds no certificate in PEM")
    return found
