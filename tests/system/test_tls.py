"""What other people's programs say of our TLS: openssl's client, and testssl.sh, which looks for known weaknesses."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from support import process
from support.certificates import authority_file, issue
from support.dialects import good_body
from support.process import ServiceProcess
from support.wire import request

SUITES = [f"ECDHE-{key}-{rest}" for key in ("ECDSA", "RSA") for rest in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")]
SUITES_1_3 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]
DEADLINE_S = 600.0


@dataclass(frozen=True)
class Site:
    """A service with a certificate of each kind, and the file of who issued them."""

    service: ServiceProcess
    authority: Path

    @property
    def address(self) -> str:
        return urlsplit(self.service.url).netloc


@pytest.fixture(scope="module")
async def site(shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    pairs = [issue(authority, folder, kind.lower(), kind=kind, days=200) for kind in ("RSA", "ECDSA")]
    files = {
        "tls_certificate": ",".join(str(pair.certificate) for pair in pairs),
        "tls_key": ",".join(str(pair.key) for pair in pairs),
    }
    async with process.running(folder / "service", database_url=shared_database, **files) as service:
        yield Site(service, authority_file(authority, folder, "authority"))
        assert service.noise() == []


async def run(*command: str, given: bytes = b"", folder: Path | None = None) -> str:
    """What the program says, of both kinds."""
    program = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await program.communicate(given)
    except TimeoutError:
        program.kill()
        await program.wait()
        raise
    return said.decode(errors="replace")


async def s_client(program: Callable[..., list[str]], site: Site, *options: str, given: bytes = b"") -> str:
    command = [*program("openssl", "openssl"), "s_client", "-connect", site.address, "-CAfile", str(site.authority)]
    return await run(*command, *options, given=given)


@pytest.mark.parametrize("suite", SUITES)
async def test_openssl_agrees_on_each_suite_that_huawei_names(
    program: Callable[..., list[str]], site: Site, suite: str
) -> None:
    body = request("/callback/huawei/report", good_body("huawei/report", suite), "Connection: close")
    said = await s_client(program, site, "-tls1_2", "-cipher", suite, "-ign_eof", given=body)
    assert f"Cipher is {suite}" in said
    assert "Verification: OK" in said
    assert "Compression: NONE" in said
    assert "Secure Renegotiation IS supported" in said
    assert '{"returnCode":0,"returnCodeDesc":"Success"}' in said


@pytest.mark.parametrize("suite", SUITES_1_3)
async def test_openssl_agrees_on_tls_1_3(program: Callable[..., list[str]], site: Site, suite: str) -> None:
    said = await s_client(program, site, "-tls1_3", "-ciphersuites", suite)
    assert f"TLSv1.3, Cipher is {suite}" in said
    assert "Verification: OK" in said


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1",),
        ("-tls1_1",),
        ("-tls1_2", "-cipher", "ECDHE+SHA1:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "DHE:@SECLEVEL=0"),
    ],
    ids=" ".join,
)
async def test_openssl_gets_nothing_old_or_weak(
    program: Callable[..., list[str]], site: Site, options: tuple[str, ...]
) -> None:
    assert "Cipher is (NONE)" in await s_client(program, site, *options)


async def test_a_client_can_not_make_it_renegotiate(program: Callable[..., list[str]], site: Site) -> None:
    said = await s_client(program, site, "-tls1_2", given=b"R\n")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


CHECKED = {"cipherlist_STRONG", "TLS1_2", "TLS1_3", "PFS", "secure_client_renego", "BEAST", "LUCKY13", "ROBOT"}
"""It has really looked."""

GRAVE = {"MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"}
"""What testssl.sh ranks above LOW, and what it could not do."""

OF_THE_TEST = {
    "cert_chain_of_trust": "the authority is the test's own",
    "cert_revocation": "it has no revocation list and no OCSP responder",
    "cert_crlDistributionPoints": "the same",
    "cert_ocspURL": "the same",
    "cert_trust": "the certificate is for an address, not a name",
    "DNS_CAArecord": "an address has no DNS",
    "HSTS": "for browsers; no browser comes to a callback URL",
    "security_headers": "the same",
    "sessionresumption_ticket": "TLS 1.2 has no tickets here, so that it can not try one",
    "engine_problem": "the machine's openssl has no GOST, which is not offered",
    "HTTP_status_code": "its GET / has no callback URL",
}
"""Findings about the test and not about the service. Certificates are numbered: `cert_trust <cert#2>`."""


def is_ours(finding: dict[str, Any]) -> bool:
    return finding["severity"] in GRAVE and finding["id"].partition(" ")[0] not in OF_THE_TEST


def scanner(program: Callable[..., list[str]], folder: Path) -> list[str]:
    """How to call it where it is unpacked: it wants its tables, and a resolver that an address does not need."""
    command = program("testssl", "testssl.sh", "bsdextrautils")
    (folder / "host").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    (folder / "host").chmod(0o755)
    paths = [os.environ["PATH"], str(folder)]
    if len(command) == 1:
        return ["/usr/bin/env", f"PATH={':'.join(paths)}", *command]
    unpacked = Path(command[-1]).parents[2]
    paths.append(str(unpacked / "usr" / "bin"))
    return ["/usr/bin/env", f"PATH={':'.join(paths)}", f"TESTSSL_INSTALL_DIR={unpacked / 'etc/testssl'}", *command[1:]]


async def test_testssl_finds_nothing_above_low(program: Callable[..., list[str]], site: Site, tmp_path: Path) -> None:
    command = scanner(program, tmp_path)
    found = tmp_path / "found.json"
    options = ["--warnings", "batch", "--color", "0", "--jsonfile", str(found), "--nodns", "none"]
    openssl = program("openssl", "openssl")[-1]
    said = await run(*command, *options, "--openssl", openssl, site.service.url, folder=tmp_path)
    findings = json.loads(found.read_text(encoding="utf-8"))
    assert {one["id"] for one in findings} >= CHECKED, said
    assert [one for one in findings if is_ours(one)] == []
