"""Mutual TLS: a platform that has an authority is believed with a certificate of that authority, and with no other."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from support import process
from support.certificates import Pair, authority_file, client, issue
from support.dialects import assert_bad, assert_good, good_body
from support.https import Reply, post
from support.service import Service
from support.shared import shared_service

CLOUDSMS, TENCENT, HUAWEI = "cloudsms/report", "tencent/reports", "huawei/report"
TOKEN = "a-token-of-16-characters"
every_version = pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
REJECTED = "SELECT count(*) FROM sms.rejected_payload"


@dataclass(frozen=True)
class World:
    """The server's authority and those of two platforms; Huawei has none."""

    folder: Path
    own: trustme.CA
    cloudsms: trustme.CA
    tencent: trustme.CA

    def settings(self) -> dict[str, str]:
        server = issue(self.own, self.folder, "server")
        authorities = {name: authority_file(getattr(self, name), self.folder, name) for name in ("cloudsms", "tencent")}
        return {
            "tls_certificate": str(server.certificate),
            "tls_key": str(server.key),
            "tls_client_ca": ",".join(f"{name}={path}" for name, path in authorities.items()),
            "callback_tokens": TOKEN,
        }

    def client(self, authority: trustme.CA | None, *, version: str = "", days: int = 30) -> ssl.SSLContext:
        """With a certificate of that authority."""
        pair: Pair | None = issue(authority, self.folder, "client", days=days) if authority else None
        return client(self.own, pair, version=version)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    tencent = trustme.CA(organization_name="Another platform", organization_unit_name="Root")
    return World(tmp_path_factory.mktemp("mutual"), trustme.CA(), trustme.CA(), tencent)


@pytest.fixture(scope="module")
async def service(cluster: str, template: str, world: World) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, **world.settings()) as service:
        yield service


async def call(url: str, path: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Reply:
    reply = await post(url, f"{path}/{TOKEN}", good_body(path, "mutual"), context, session)
    assert reply.status in (200, 403)
    (assert_good if reply.status == 200 else assert_bad)(path, reply.answer)
    return reply


async def statuses(url: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> list[int]:
    """For CloudSMS, Tencent and Huawei."""
    replies = [await call(url, path, context, session) for path in (CLOUDSMS, TENCENT, HUAWEI)]
    assert session is None or all(reply.resumed for reply in replies)
    return [reply.status for reply in replies]


@every_version
async def test_a_certificate_opens_its_own_platforms_urls_alone(service: Service, world: World, version: str) -> None:
    before = await service.sql.fetchval(REJECTED)
    assert await statuses(service.url, world.client(world.cloudsms, version=version)) == [200, 403, 200]
    assert await statuses(service.url, world.client(world.tencent, version=version)) == [403, 200, 200]
    assert await statuses(service.url, world.client(None, version=version)) == [403, 403, 200]
    assert await service.sql.fetchval(REJECTED) == before


async def resumed_is_as_good_as_the_first(url: str, world: World, version: str) -> None:
    for authority, allowed in ((world.cloudsms, [200, 403, 200]), (None, [403, 403, 200])):
        context = world.client(authority, version=version)
        first = await call(url, HUAWEI, context)
        assert await statuses(url, context, first.session) == allowed


@every_version
async def test_a_resumed_session_is_as_good_as_the_first_and_no_better(
    service: Service, world: World, version: str
) -> None:
    """OpenSSL keeps the certificate of a session, not the chain behind it."""
    await resumed_is_as_good_as_the_first(service.url, world, version)


async def test_an_intermediate_authority_speaks_for_its_own_platform_alone(service: Service, world: World) -> None:
    """One that takes the name of another platform's authority opens nothing of that platform either."""
    impostor = trustme.CA(world.cloudsms, organization_name="Another platform", organization_unit_name="Root")
    for authority in (world.cloudsms.create_child_ca(), impostor):
        assert await statuses(service.url, world.client(authority)) == [200, 403, 200]


@every_version
async def test_a_strangers_certificate_or_an_expired_one_ends_the_handshake(
    service: Service, world: World, version: str
) -> None:
    namesake = trustme.CA(organization_name="Another platform", organization_unit_name="Root")
    for authority, days in ((trustme.CA(), 30), (namesake, 30), (world.cloudsms, -1)):
        with pytest.raises((OSError, IndexError)):  # TLS 1.3: the client hears of it where the answer should be
            await call(service.url, HUAWEI, world.client(authority, version=version, days=days))


async def test_the_wrong_certificate_tells_nothing_of_tokens(service: Service, world: World) -> None:
    assert (await post(service.url, CLOUDSMS, good_body(CLOUDSMS, "token"), world.client(None))).status == 404


async def test_it_is_the_same_in_a_process_of_its_own(database: str, world: World, tmp_path: Path) -> None:
    """Whose event loop has a TLS of its own."""
    async with process.running(tmp_path, database_url=database, **world.settings()) as service:
        for version in ("TLSv1_2", "TLSv1_3"):
            await resumed_is_as_good_as_the_first(service.url, world, version)
            with pytest.raises((OSError, IndexError)):
                await call(service.url, HUAWEI, world.client(trustme.CA(), version=version))
        assert await service.terminate() == 0
        assert service.noise() == []
