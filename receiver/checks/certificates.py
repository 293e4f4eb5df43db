"""The certificates of the callback listener: readable, with their keys, in time, with a chain, of the right name."""

import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from receiver.checks.finding import Finding
from receiver.server import certificate as certificates
from receiver.server import tls
from receiver.server.certificate import Certificate, CertificateError
from receiver.setting_source import SettingsError
from receiver.settings import Settings, variable

if TYPE_CHECKING:
    from cryptography import x509

SUBJECT: Final = "certificates"

FEW_DAYS: Final = 14
"""As the alert ReceiverCertificateExpires has it."""

_RENEW: Final = "renew it: the service takes a new file without a restart"


def served(settings: Settings) -> Iterator[Finding]:
    """Each certificate and key by itself, so that one fault hides no other."""
    if not settings.tls_certificate:
        yield Finding(SUBJECT, "ok", f"{variable('tls_certificate')} is not set: plain HTTP")
        return
    kinds: list[str] = []
    for path, key in zip(settings.tls_certificate, settings.tls_key, strict=True):
        try:
            loaded = tls.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), path, key)
        except SettingsError as error:
            yield Finding(SUBJECT, "error", str(error))
            continue
        kinds.append(loaded.kind)
        yield _validity(loaded)
        yield from _chain(path, settings.public_url)
        yield from _permissions(key)
    if len(set(kinds)) < len(kinds):
        told = f"{variable('tls_certificate')}: several certificates are {kinds[0]}"
        yield Finding(SUBJECT, "error", told, "name one RSA and one ECDSA certificate at most")
    for platform, path in settings.tls_client_ca.items():
        try:
            tls.authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), {platform: path})
            yield _validity(certificates.read(path))
        except (SettingsError, CertificateError) as error:
            yield Finding(SUBJECT, "error", str(error))


def _validity(one: Certificate) -> Finding:
    left = one.expires_at - datetime.now(UTC)
    told = f"{one.path} ({one.kind}) "
    if left.total_seconds() < 0:
        return Finding(SUBJECT, "error", f"{told}has expired on {one.expires_at:%Y-%m-%d}", _RENEW)
    told += f"is valid for {left.days} days"
    return Finding(SUBJECT, "warning", told, _RENEW) if left.days < FEW_DAYS else Finding(SUBJECT, "ok", told)


def _chain(path: Path, public_url: str | None) -> Iterator[Finding]:
    from cryptography import x509  # noqa: PLC0415 - 14 MB, for a service that speaks TLS alone

    chain = [x509.load_der_x509_certificate(der) for der in certificates.ders(path)]
    own = chain[0]
    if own.not_valid_before_utc > datetime.now(UTC):
        told = f"{path} is not valid before {own.not_valid_before_utc.isoformat()}"
        yield Finding(SUBJECT, "error", told, "see this machine's clock")
    if _issued(own, own):
        yield Finding(SUBJECT, "warning", f"{path} is signed by itself: platforms refuse it", "have one issued")
    elif len(chain) == 1:
        told = f"{path} has no certificate of its issuer, {own.issuer.rfc4514_string()}"
        yield Finding(SUBJECT, "warning", told, "add the intermediate ones to the file, unless that is a root")
    for lower, upper in pairwise(chain):
        if not _issued(lower, upper):
            told = f"{path}: {upper.subject.rfc4514_string()} has not issued {lower.subject.rfc4514_string()}"
            yield Finding(SUBJECT, "error", told, "put the chain in order: own certificate, its issuer, and so on")
    yield from _name(path, own, public_url)


def _name(path: Path, own: "x509.Certificate", public_url: str | None) -> Iterator[Finding]:
    host = urlsplit(public_url).hostname if public_url else None
    names = _names(own)
    if host is None:
        yield Finding(SUBJECT, "ok", f"{path} is for {', '.join(names) or 'no name at all'}")
    elif not any(_is_for(name, host) for name in names):
        told = f"{path} is for {', '.join(names) or 'no name at all'}, and {variable('public_url')} says {host}"
        yield Finding(SUBJECT, "error", told, "have one issued for that name, or correct the URL")
    else:
        yield Finding(SUBJECT, "ok", f"{path} is for {host}")


def _names(own: "x509.Certificate") -> Sequence[str]:
    """Names and addresses that a client compares with (RFC 9525): those of the extension, never the common name."""
    from cryptography import x509  # noqa: PLC0415 - see above

    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _is_for(name: str, host: str) -> bool:
    """`*.example.com` stands for one label (RFC 9525, section 6.3)."""
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _issued(lower: "x509.Certificate", upper: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above

    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _permissions(key: Path) -> Iterator[Finding]:
    if key.stat().st_mode & 0o004:
        yield Finding(SUBJECT, "warning", f"{key} can be read by every user of this machine", f"chmod o= {key}")
