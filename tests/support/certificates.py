"""Authorities of the tests' own, the files that they issue, and clients that trust them."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key: files."""

    certificate: Path
    key: Path


def issue(authority: trustme.CA, folder: Path, name: str, *, kind: str = "ECDSA", days: int = 30) -> Pair:
    """A server's or a client's certificate; `days` below zero: an expired one."""
    ends = datetime.now(UTC) + timedelta(days=days)
    made = authority.issue_cert(
        HOST,
        f"{name}.receiver.test",
        common_name=name,
        key_type=trustme.KeyType[kind],
        not_before=datetime.now(UTC) - timedelta(days=60),
        not_after=ends,
    )
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    write(pair, made)
    return pair


def write(pair: Pair, made: trustme.LeafCert) -> None:
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    pair.certificate.write_bytes(chain)
    pair.key.write_bytes(made.private_key_pem.bytes())


def authority_file(authority: trustme.CA, folder: Path, name: str) -> Path:
    """Where its own certificate is."""
    path = folder / f"{name}.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def client(authority: trustme.CA, pair: Pair | None = None, *, suite: str = "", version: str = "") -> ssl.SSLContext:
    """A client that trusts the authority; with one suite of TLS 1.2, or one version, if told."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    if suite:
        context.set_ciphers(suite)
        version = "TLSv1_2"
    if version:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context
