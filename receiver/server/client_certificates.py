"""Mutual TLS: whether a connection's client certificate leads to an authority of the platform that it calls for.

One port serves all platforms, so that a certificate is asked for but not demanded, and which of the authorities stands
behind it is looked up for each request. Only what OpenSSL has verified counts: the chain that it built for the
handshake. A resumed session has the client's certificate but not the chain, which is remembered for it here.
"""

import hashlib
import ssl
import sys
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from receiver.report import ProviderName

_MAX_REMEMBERED: Final = 1_000
"""Clients whose chain is known. Only a verified one is, so that no stranger can push the others out."""

Prints = frozenset[bytes]
"""SHA-256 of certificates."""


class Chains:
    """The verified chain of each client certificate, its own among them, from the last full handshake with it."""

    def __init__(self) -> None:
        self._by_client: dict[bytes, Prints] = {}

    def remember(self, tls: ssl.SSLObject) -> None:
        """Called after each handshake."""
        client = tls.getpeercert(binary_form=True)
        if client and (chain := _verified_chain(tls)):
            key = fingerprint(client)
            self._by_client.pop(key, None)
            if len(self._by_client) >= _MAX_REMEMBERED:
                del self._by_client[next(iter(self._by_client))]
            self._by_client[key] = frozenset(map(fingerprint, chain))

    def of(self, tls: ssl.SSLObject) -> Prints:
        """The chain behind a connection; empty for one without a certificate."""
        client = tls.getpeercert(binary_form=True)
        return self._by_client.get(fingerprint(client), frozenset()) if client else frozenset()


def remembering(chains: Chains) -> type[ssl.SSLObject]:
    """What a context is to make of its connections, so that chains are remembered."""

    class Remembering(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            chains.remember(self)

    return Remembering


def _verified_chain(tls: ssl.SSLObject) -> list[bytes]:
    """From the client's certificate to the authority that is trusted, DER. Empty for a resumed session."""
    if sys.version_info >= (3, 13):
        return tls.get_verified_chain()
    # Python 3.11 and 3.12, which get nothing but security fixes any more, have it at the inner object alone.
    found = tls._sslobj.get_verified_chain() or ()  # type: ignore[attr-defined]  # noqa: SLF001
    return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in found]


def fingerprint(der: bytes) -> bytes:
    """SHA-256 of a certificate."""
    return hashlib.sha256(der).digest()


def has_trusted_client_certificate(
    request: web.Request, platform: ProviderName, authorities: Mapping[str, Prints], to: Chains
) -> bool:
    """Whether an authority of the platform stands behind the request's connection, if the platform has any."""
    if platform not in authorities:
        return True
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return isinstance(tls, ssl.SSLObject) and not authorities[platform].isdisjoint(to.of(tls))
