"""What strangers may do, and how many connections the machine allows."""

from collections.abc import Iterator
from typing import Final

from receiver.addresses import is_loopback
from receiver.checks.finding import Finding
from receiver.server.acceptor import handshake_limits
from receiver.server.descriptors import missing_descriptors
from receiver.settings import Settings, variable
from receiver.web import exposure

PROTECTION: Final = "protection"
CONNECTIONS: Final = "connections"


def protection(settings: Settings) -> Iterator[Finding]:
    """Whether strangers can send reports, or read the ops listener."""
    if platforms := exposure.unprotected(settings):
        told = f"anybody can send reports in the name of {', '.join(platforms)}"
        yield Finding(PROTECTION, "warning", told, exposure.ADVICE)
    else:
        yield Finding(PROTECTION, "ok", "strangers cannot send reports")
    if settings.callback_tokens and not (settings.tls_certificate or settings.public_url or is_loopback(settings.host)):
        told = "tokens go over plain HTTP, unless a proxy in front speaks TLS"
        yield Finding(PROTECTION, "warning", told, f"set {variable('tls_certificate')}, or have such a proxy")
    if settings.ops_token is None and not is_loopback(settings.ops_host):
        told = f"anybody who reaches {variable('ops_host')}={settings.ops_host} can read the pages and add submissions"
        yield Finding(PROTECTION, "warning", told, f"set {variable('ops_token')}, or 127.0.0.1")


def connections(settings: Settings) -> Iterator[Finding]:
    """Whether the hard limit of file descriptors suffices."""
    handshaking = sum(handshake_limits(settings.max_connections)) if settings.tls_certificate else 0
    missing = missing_descriptors(settings.max_connections, handshaking=handshaking)
    told = f"{variable('max_connections')}={settings.max_connections}"
    if missing:
        advice = f"raise the limit (ulimit -Hn, LimitNOFILE=) by {missing}, or lower the setting"
        yield Finding(CONNECTIONS, "warning", f"{told} takes more file descriptors than there may be", advice)
    else:
        yield Finding(CONNECTIONS, "ok", f"{told}: the limit of file descriptors suffices")
