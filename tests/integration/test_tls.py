"""HTTPS at the callback listener: what is offered, what is refused, and what an operator reads when a file is wrong."""

import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import trustme
from support import service as services
from support.capture import captured_log
from support.certificates import Pair, client, issue
from support.dialects import ENDPOINT_PATHS, assert_good, good_body
from support.https import client_hello
from support.preloaded import Commands
from support.service import Service, answer_of
from support.shared import shared_service
from support.wire import head, wire

from receiver.server import tls
from receiver.server.tls import Tls
from receiver.settings import Settings, SettingsError

SUITES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
]
"""Those that Huawei demands one of (API reference, 3.2.5)."""

WEAK = ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "DHE-RSA-AES128-SHA"]
URL = "/callback/huawei/report"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def pairs(authority: trustme.CA, folder: Path) -> dict[str, Pair]:
    return {kind: issue(authority, folder, kind.lower(), kind=kind) for kind in ("RSA", "ECDSA")}


def files(*pairs: Pair) -> dict[str, str]:
    return {
        "tls_certificate": ",".join(str(pair.certificate) for pair in pairs),
        "tls_key": ",".join(str(pair.key) for pair in pairs),
    }


@pytest.fixture(scope="module")
async def service(cluster: str, template: str, pairs: dict[str, Pair]) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, **files(*pairs.values())) as service:
        yield service


async def handshake(service: Service, context: ssl.SSLContext) -> tuple[str, str]:
    """Version and suite that are agreed on."""
    async with wire(service.url, tls=context) as connection:
        agreed = connection.writer.get_extra_info("ssl_object")
        return agreed.version(), agreed.cipher()[0]


async def assert_refused(service: Service, context: ssl.SSLContext) -> None:
    """By the server: with an alert, or, as asyncio does, by hanging up."""
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as caught:
        await handshake(service, context)
    assert isinstance(caught.value, ConnectionResetError) or "ALERT" in caught.value.reason


async def post(url: str, path: str, name: str, context: ssl.SSLContext) -> dict[str, object]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/callback/{path}", data=good_body(path, name), ssl=context) as response,
    ):
        assert response.status == 200
        return await answer_of(response)


@pytest.mark.parametrize("suite", SUITES)
async def test_each_suite_that_a_platform_may_insist_on_is_there(
    service: Service, authority: trustme.CA, suite: str
) -> None:
    context = client(authority, suite=suite)
    assert await handshake(service, context) == ("TLSv1.2", suite)
    for path in ENDPOINT_PATHS:
        assert_good(path, await post(service.url, path, suite, context))


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
async def test_with_one_certificate_there_are_the_suites_of_its_kind(
    make_settings: Callable[..., Settings], authority: trustme.CA, pairs: dict[str, Pair], kind: str
) -> None:
    async with services.running(make_settings(**files(pairs[kind]))) as service:
        for suite in SUITES:
            if f"-{kind}-" in suite:
                assert await handshake(service, client(authority, suite=suite)) == ("TLSv1.2", suite)
            else:
                await assert_refused(service, client(authority, suite=suite))
        assert (await handshake(service, client(authority)))[0] == "TLSv1.3"


async def test_the_server_chooses_the_suite(service: Service, authority: trustme.CA) -> None:
    for order in (SUITES, SUITES[::-1]):
        assert await handshake(service, client(authority, suite=":".join(order))) == ("TLSv1.2", SUITES[0])


@pytest.mark.parametrize("suite", WEAK)
async def test_no_weak_suite_is_there(service: Service, authority: trustme.CA, suite: str) -> None:
    await assert_refused(service, client(authority, suite=f"{suite}:@SECLEVEL=0"))


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_old_versions_are_refused(service: Service, authority: trustme.CA, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = client(authority, version=version)
    context.set_ciphers("ALL@SECLEVEL=0")
    await assert_refused(service, context)


async def test_who_speaks_plain_http_is_not_heard(service: Service) -> None:
    with captured_log(level="INFO") as log:
        async with wire(service.url) as connection:
            await connection.send(head(URL, method="HEAD"))
            assert b"HTTP/" not in await connection.rest()
        assert (await post_one(service)) == 404
    assert [line for line in log.lines if line["level"] not in {"info", "debug"}] == []


async def post_one(service: Service) -> int:
    """On the ops listener, which is not the public one: plain HTTP as ever."""
    async with service.client.post(service.ops_url + URL) as response:
        return response.status


async def test_who_never_shakes_hands_is_sent_away(
    make_settings: Callable[..., Settings],
    authority: trustme.CA,
    pairs: dict[str, Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Left alone, a handshake may take a minute: longer than this test waits."""
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT_S", 0.3)
    with captured_log(level="INFO") as log:
        async with services.running(make_settings(header_timeout_s=0.3, **files(pairs["ECDSA"]))) as service:
            for beginning in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
                async with wire(service.url) as silent:
                    await silent.send(beginning)
                    assert await silent.rest() == b""
            async with wire(service.url) as stalled:
                await stalled.send(client_hello())
                assert await stalled.rest(), "its half of the handshake, and then the end"
            assert (await handshake(service, client(authority)))[0] == "TLSv1.3"
    assert [line for line in log.lines if line["level"] not in {"info", "debug"}] == []


async def test_the_log_and_the_metrics_tell_of_it_where_there_are_certificates(
    make_settings: Callable[..., Settings], pairs: dict[str, Pair]
) -> None:
    """Without any there is no metric: an alert on its end would ring for everybody who has a proxy in front."""
    metric = "receiver_tls_certificate_expires_seconds{"
    with captured_log() as log:
        async with services.running(make_settings(**files(*pairs.values()))) as service:
            for pair in pairs.values():
                assert await service.metric(f'{metric}certificate="{pair.certificate}"}} 1.') > 0
    assert {line["url"].partition(":")[0] for line in log.events("callback.listening")} == {"https"}
    assert {line["url"].partition(":")[0] for line in log.events("ops.listening")} == {"http"}
    assert [line["kind"] for line in log.events("tls.loaded")] == ["RSA", "ECDSA"]
    async with services.running(make_settings()) as service:
        assert await service.metric(metric) == 0


WRONG_FILES = [
    ("tls_certificate", "missing", "cannot be read: No such file"),
    ("tls_certificate", ".", "cannot be read: Is a directory"),
    ("tls_certificate", "ecdsa.key", "holds no certificate in PEM"),
    ("tls_certificate", "nonsense", "holds no certificate in PEM"),
    ("tls_key", "missing", "cannot be read: No such file"),
    ("tls_key", "ecdsa.crt", "holds no private key in PEM"),
    ("tls_key", "other.key", "is not the key of"),
    ("tls_key", "rsa.key", "is not the key of"),
    ("tls_key", "locked", "has a passphrase"),
    ("tls_client_ca", "cloudsms=missing", "cannot be read: No such file"),
    ("tls_client_ca", "cloudsms=ecdsa.key", "holds no certificate in PEM"),
    ("tls_client_ca", "cloudsms=nonsense", "holds no certificate in PEM"),
]


@pytest.mark.parametrize(("setting", "value", "says"), WRONG_FILES)
def test_a_wrong_file_stops_the_start_and_is_named(
    folder: Path,
    authority: trustme.CA,
    pairs: dict[str, Pair],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    says: str,
) -> None:
    monkeypatch.chdir(folder)
    issue(authority, folder, "other")
    (folder / "nonsense").write_text("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
    (folder / "locked").write_text(pairs["ECDSA"].key.read_text().replace("BEGIN EC", "BEGIN ENCRYPTED"))
    with pytest.raises(SettingsError) as caught:
        Tls(Settings(_env_file=None, **(files(pairs["ECDSA"]) | {setting: value})))
    name, _, said = str(caught.value).partition(": ")
    assert name == f"RECEIVER_{setting.upper()}"
    assert says in said
    assert str(folder / value.rpartition("=")[2]) in said
    assert "PRIVATE" not in said


def test_two_certificates_of_one_kind_are_refused(folder: Path, authority: trustme.CA, pairs: dict[str, Pair]) -> None:
    """OpenSSL would serve the last one, and nobody would know why."""
    with pytest.raises(SettingsError, match="RECEIVER_TLS_CERTIFICATE: several certificates are ECDSA"):
        Tls(Settings(_env_file=None, **files(pairs["ECDSA"], issue(authority, folder, "second"))))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_certificate": "a.pem"}, "RECEIVER_TLS_CERTIFICATE and RECEIVER_TLS_KEY belong together: 1 and 0 files"),
        ({"tls_key": "a.key"}, "RECEIVER_TLS_CERTIFICATE and RECEIVER_TLS_KEY belong together: 0 and 1 files"),
        ({"tls_certificate": "a,b", "tls_key": "a"}, "RECEIVER_TLS_CERTIFICATE and RECEIVER_TLS_KEY belong together"),
        ({"tls_client_ca": "cloudsms=a"}, "RECEIVER_TLS_CLIENT_CA has no effect without RECEIVER_TLS_CERTIFICATE"),
        ({"tls_client_ca": "a.pem"}, "RECEIVER_TLS_CLIENT_CA: is not a list of platform=path"),
        ({"tls_client_ca": "cloudsms=a,cloudsms=b"}, "RECEIVER_TLS_CLIENT_CA: names a platform twice"),
        ({"tls_certificate": "gone.pem", "tls_key": "gone.key"}, "RECEIVER_TLS_CERTIFICATE: "),
    ],
)
async def test_the_service_says_so_in_one_line(
    tmp_path: Path, commands: Commands, given: dict[str, str], says: str
) -> None:
    ended = await commands.run("serve", data_dir=tmp_path, **given)
    assert ended.complaint.startswith(says)


def test_an_expired_certificate_is_served_with_a_warning(folder: Path, authority: trustme.CA) -> None:
    """Some platforms do not check; to stop would cost their reports too."""
    expired = issue(authority, folder, "expired", days=-1)
    with captured_log() as log:
        Tls(Settings(_env_file=None, **files(expired)))
    (line,) = log.events("tls.certificate_expired")
    assert line["certificate"] == str(expired.certificate)
