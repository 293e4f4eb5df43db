"""TLS of the callback listener: certificates, cipher suites, and renewed certificates without a restart."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web

from receiver.report import ProviderName
from receiver.server import certificate as certificates
from receiver.server.certificate import Certificate, CertificateError
from receiver.server.client_certificates import (
    Chains,
    Fingerprints,
    chain_recorder,
    fingerprint,
    has_trusted_client_certificate,
)
from receiver.settings import Settings, SettingsError, variable
from receiver.telemetry.logs import get_logger
from receiver.telemetry.metrics import Metrics, set_from

CHECK_S: float = 60.0
"""Interval at which the files are checked for changes."""

HANDSHAKE_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 5.0

_SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "@SECLEVEL=2",
)
"""For TLS 1.2, only the suites that a platform demands. TLS 1.3 has its own, none of them weak.

Curves are left to OpenSSL, X25519 and P-256 first: to name one would exclude the others.
"""

_OPTIONS: Final = ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
"""No tickets, sessions are resumed from memory: a ticket's key lives for weeks, and decrypts recorded traffic."""

_CERTIFICATE: Final = variable("tls_certificate")
_KEY: Final = variable("tls_key")
_CLIENT_CA: Final = variable("tls_client_ca")

log = get_logger()


class _InUse(NamedTuple):
    """The material of a handshake; replaced as a whole, so that a broken file never leaves half of it."""

    context: ssl.SSLContext
    certificates: Sequence[Certificate]
    authorities: Mapping[str, Fingerprints]


class Tls:
    """The certificates of one listener, reloaded when their files change. Raises SettingsError."""

    def __init__(self, settings: Settings) -> None:
        self._reload_requested = asyncio.Event()
        self._settings = settings
        self._chains = Chains()
        self._seen = self._stamps()
        self._in_use = self._build()
        self._base_context = self._in_use.context
        # The base context starts each handshake; the SNI callback then puts the current one in its place.
        self._base_context.sni_callback = self._on_server_name
        self._log_certificates("tls.loaded")

    def listening(self) -> dict[str, Any]:
        """Arguments for `loop.connect_accepted_socket`. Its default handshake timeout is a minute."""
        return {
            "ssl": self._base_context,
            "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S,
            "ssl_shutdown_timeout": CLOSE_TIMEOUT_S,
        }

    def has_trusted_client_certificate(self, request: web.BaseRequest, platform: ProviderName) -> bool:
        """Whether the client certificate, if the platform demands one, fits the platform."""
        return has_trusted_client_certificate(request, platform, self._in_use.authorities, self._chains)

    def publish(self, metrics: Metrics) -> None:
        """Set the expiry gauge of each certificate, in Unix seconds."""
        for number, one in enumerate(self._in_use.certificates):
            gauge = metrics.tls_certificate_expires_seconds.labels(str(one.path))
            set_from(gauge, partial(self._expires, number))

    def _expires(self, number: int) -> float:
        return self._in_use.certificates[number].expires_at.timestamp()

    def reload(self) -> None:
        """Ask `watch` to read the files again, changed or not."""
        self._reload_requested.set()

    async def watch(self) -> None:
        """Reload after a change of the files or a call of `reload`, until cancelled."""
        while True:
            await self._check_files()

    async def _check_files(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S):
                await self._reload_requested.wait()
        stamps = await asyncio.to_thread(self._stamps)
        if self._reload_requested.is_set() or stamps != self._seen:
            self._reload_requested.clear()
            self._seen = stamps
            await self._reload()

    async def _reload(self) -> None:
        """Open connections keep their certificate. A broken file is logged and changes nothing."""
        try:
            self._in_use = await asyncio.to_thread(self._build)
        except (SettingsError, OSError, ValueError) as error:
            log.error("tls.reload_failed", error=str(error))
        else:
            self._log_certificates("tls.reloaded")

    def _on_server_name(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _base_context: ssl.SSLContext
    ) -> None:
        connection.context = self._in_use.context

    def _log_certificates(self, event: str) -> None:
        now = datetime.now(UTC)
        for one in self._in_use.certificates:
            named = {"certificate": str(one.path), "expires": one.expires_at.isoformat()}
            log.info(event, kind=one.kind, **named)
            if one.expires_at < now:
                log.warning("tls.certificate_expired", **named)

    def _stamps(self) -> list[tuple[int, ...] | None]:
        """Modification time, size and inode of each file; None for one that cannot be read."""
        named = (*self._settings.tls_certificate, *self._settings.tls_key, *self._settings.tls_client_ca.values())
        return [_stamp(path) for path in named]

    def _build(self) -> _InUse:
        """Raises SettingsError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= _OPTIONS
        context.set_ciphers(":".join(_SUITES))
        context.set_alpn_protocols(["http/1.1"])
        context.sslobject_class = chain_recorder(self._chains)
        pairs = zip(self._settings.tls_certificate, self._settings.tls_key, strict=True)
        loaded = [load(context, path, key) for path, key in pairs]
        kinds = [one.kind for one in loaded]
        if len(set(kinds)) < len(kinds):
            raise SettingsError(f"{_CERTIFICATE}: several certificates are {kinds[0]}; one of each kind can be served")
        return _InUse(context, loaded, authorities(context, self._settings.tls_client_ca))


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def load(context: ssl.SSLContext, path: Path, key: Path) -> Certificate:
    """Load a certificate and its key into the context. Raises SettingsError."""
    try:
        found = certificates.read(path)
    except (OSError, CertificateError) as error:
        raise SettingsError(f"{_CERTIFICATE}: {path} {_reason(error)}") from error
    try:
        if b"PRIVATE KEY-----" not in key.read_bytes():
            raise SettingsError(f"{_KEY}: {key} holds no private key in PEM")
        # Without an answer of ours OpenSSL would ask for the passphrase at the terminal.
        context.load_cert_chain(path, key, password=lambda: "")
    except ssl.SSLError as error:
        raise SettingsError(_load_problem(path, key, error)) from error
    except OSError as error:
        raise SettingsError(f"{_KEY}: {key} {_reason(error)}") from error
    return found


def _load_problem(path: Path, key: Path, error: ssl.SSLError) -> str:
    if "ENCRYPTED" in key.read_text("latin-1"):
        return f"{_KEY}: {key} has a passphrase; write it without one"
    # OpenSSL reports the latter for an RSA key beside an ECDSA certificate.
    if (error.reason or "").endswith(("MISMATCH", "NO_CERTIFICATE_ASSIGNED")):
        return f"{_KEY}: {key} is not the key of {path}"
    return f"{_CERTIFICATE}: {path} cannot be used with {key}: {error.reason or 'unreadable'}"


def authorities(context: ssl.SSLContext, files: Mapping[str, Path]) -> dict[str, Fingerprints]:
    """Trust the authorities of client certificates; the fingerprints of each platform's. Raises SettingsError."""
    found = {}
    for platform, path in files.items():
        try:
            found[platform] = frozenset(map(fingerprint, certificates.ders(path)))
            context.load_verify_locations(path)
        except (OSError, CertificateError) as error:
            raise SettingsError(f"{_CLIENT_CA}: {path} {_reason(error)}") from error
    if files:
        context.verify_mode = ssl.CERT_OPTIONAL
        # Every named authority is trusted: an intermediate one works without its root.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return found


def _reason(error: OSError | CertificateError) -> str:
    if isinstance(error, CertificateError):
        return str(error)
    return "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
