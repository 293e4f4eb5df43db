"""What is read of a certificate's file: when the first one in it ends, and of which kind its key is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.cases import FOLDER

from receiver.server import certificate
from receiver.server.certificate import CertificateError

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.test")])
MOMENT = datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)
KEYS = {
    "RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "other": ed25519.Ed25519PrivateKey.generate,
}
HEAD, FOOT = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
BROKEN = {
    "empty": lambda _: b"",
    "bytes": lambda _: b"\xff" * 100,
    "nothing between the lines": lambda _: HEAD + FOOT,
    "other words": lambda _: HEAD + b"bm90aGluZw==\n" + FOOT,
    "no base64": lambda _: HEAD + b"A\n" + FOOT,
    "cut off": lambda pem: pem[:-200],
    "another length": lambda pem: pem.replace(b"\nMII", b"\nMIJ", 1),
    "lines missing": lambda pem: b"".join((*pem.splitlines(keepends=True)[:4], FOOT)),
    "a key": lambda pem: pem.replace(b"CERTIFICATE", b"EC PRIVATE KEY"),
}
"""What is done to a good file, by its name."""


def made(kind: str = "ECDSA", ends: datetime = MOMENT) -> bytes:
    """A certificate of this kind, PEM."""
    key = KEYS[kind]()
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(ends - timedelta(days=30)).not_valid_after(ends)
    digest = None if kind == "other" else SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("kind", KEYS)
def test_the_kind_of_the_key_and_the_end_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "server.crt"
    path.write_bytes(made(kind))
    assert certificate.read(path) == (path, kind, MOMENT)


def test_a_key_for_pss_alone_is_an_rsa_key() -> None:
    found = certificate.read(FOLDER / "certificates" / "rsa-pss.crt")
    assert (found.kind, found.expires_at.year) == ("RSA", 2126)


@pytest.mark.parametrize("year", [1951, 1999, 2049, 2050, 9999])
def test_years_of_two_digits_and_of_four(year: int, tmp_path: Path) -> None:
    """DER writes those until 2049 with two digits (RFC 5280, 4.1.2.5)."""
    path = tmp_path / "server.crt"
    path.write_bytes(made(ends=MOMENT.replace(year=year)))
    assert certificate.read(path).expires_at == MOMENT.replace(year=year)


def test_the_first_of_the_chain_is_the_servers_own(tmp_path: Path) -> None:
    path = tmp_path / "chain.crt"
    chain = made("RSA"), made("ECDSA", MOMENT + timedelta(days=1))
    path.write_bytes(b"# the server's\n" + chain[0] + b"\xe9 issuer\n" + chain[1])
    assert certificate.read(path) == (path, "RSA", MOMENT)
    loaded = [x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in chain]
    assert certificate.ders(path) == loaded


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_holds_no_certificate(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.crt"
    path.write_bytes(BROKEN[fault](made()))
    with pytest.raises(CertificateError, match=r"^holds no certificate in PEM$"):
        certificate.read(path)
