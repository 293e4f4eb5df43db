"""Mutual TLS: does a connection's client certificate lead to an authority of the platform in the request's path?

One port serves all platforms, so a certificate is asked for but not demanded, and each request looks up the authority
in the verified chain: the one that OpenSSL built in the handshake. A resumed session carries the client's certificate
without the chain, so chains are remembered here.
"""

import hashlib
import ssl
import sys
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from receiver.report import ProviderName

_MAX_REMEMBERED: Final = 1_000
"""Clients with a remembered chain. Only verified chains are kept, so a stranger cannot push them out."""

Fingerprints = frozenset[bytes]
"""SHA-256 digests of certificates."""


class Chains:
    """The verified chain of each client certificate, itself included, as of its last full handshake."""

    def __init__(self) -> None:
        self._by_client: dict[bytes, Fingerprints] = {}

    def remember(self, tls: ssl.SSLObject) -> None:
        """Called after each handshake."""
        client = tls.getpeercert(binary_form=True)
        if client and (chain := _verified_chain(tls)):
            key = fingerprint(client)
            self._by_client.pop(key, None)
            if len(self._by_client) >= _MAX_REMEMBERED:
                del self._by_client[next(iter(self._by_client))]
            self._by_client[key] = frozenset(map(fingerprint, chain))

    def of(self, tls: ssl.SSLObject) -> Fingerprints:
        """The chain behind a connection; empty for one without a certificate."""
        client = tls.getpeercert(binary_form=True)
        return self._by_client.get(fingerprint(client), frozenset()) if client else frozenset()


def chain_recorder(chains: Chains) -> type[ssl.SSLObject]:
    """A class for `SSLContext.sslobject_class` that remembers the chain of each handshake in `chains`."""

    class ChainRecorder(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            chains.remember(self)

    return ChainRecorder


def _verified_chain(tls: ssl.SSLObject) -> list[bytes]:
    """DER certificates from the client's to the trusted authority's. Empty for a resumed session."""
    if sys.version_info >= (3, 13):
        return tls.get_verified_chain()
    # In Python 3.11 and 3.12, which get security fixes only, the method is on the inner object.
    found = tls._sslobj.get_verified_chain() or ()  # type: ignore[attr-defined]  # noqa: SLF001
    return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in found]


def fingerprint(der: bytes) -> bytes:
    """SHA-256 of a certificate in DER."""
    return hashlib.sha256(der).digest()


def has_trusted_client_certificate(
    request: web.BaseRequest, platform: ProviderName, authorities: Mapping[str, Fingerprints], to: Chains
) -> bool:
    """Whether the connection's chain holds an authority of the platform; True for platforms without any."""
    if platform not in authorities:
        return True
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return isinstance(tls, ssl.SSLObject) and not authorities[platform].isdisjoint(to.of(tls))
