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
VERSIONS = ["TLSv1_2", "TLSv1_3"]


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


async def call(service: Service, path: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Reply:
    reply = await post(service.url, path, good_body(path, "mutual"), context, session)
    if reply.status == 200:
        assert_good(path, reply.answer)
    else:
        assert reply.status == 403
        assert_bad(path, reply.answer)
    return reply


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_opens_its_own_platforms_urls_alone(service: Service, world: World, version: str) -> None:
    for authority, allowed in ((world.cloudsms, CLOUDSMS), (world.tencent, TENCENT)):
        context = world.client(authority, version=version)
        for path in (CLOUDSMS, TENCENT):
            assert (await call(service, path, context)).status == (200 if path == allowed else 403)


async def test_who_has_no_certificate_calls_for_the_platforms_that_need_none(service: Service, world: World) -> None:
    context = world.client(None)
    assert (await call(service, HUAWEI, context)).status == 200
    for path in (CLOUDSMS, TENCENT):
        assert (await call(service, path, context)).status == 403
    before = await service.rows("SELECT count(*) AS n FROM sms.rejected_payload")
    await call(service, CLOUDSMS, context)
    assert await service.rows("SELECT count(*) AS n FROM sms.rejected_payload") == before


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_resumed_session_is_as_good_as_the_first_and_no_better(
    service: Service, world: World, version: str
) -> None:
    """OpenSSL keeps the certificate of a session, not the chain behind it."""
    context = world.client(world.cloudsms, version=version)
    first = await call(service, HUAWEI, context)
    for path, status in ((CLOUDSMS, 200), (TENCENT, 403), (HUAWEI, 200)):
        again = await call(service, path, context, first.session)
        assert again.resumed
        assert again.status == status
    nobody = world.client(None, version=version)
    first = await call(service, HUAWEI, nobody)
    again = await call(service, CLOUDSMS, nobody, first.session)
    assert (again.resumed, again.status) == (True, 403)


async def test_an_intermediate_authority_is_fine(service: Service, world: World) -> None:
    context = world.client(world.cloudsms.create_child_ca())
    assert (await call(service, CLOUDSMS, context)).status == 200
    assert (await call(service, TENCENT, context)).status == 403


async def test_an_intermediate_that_takes_anothers_name_opens_nothing_of_the_others(
    service: Service, world: World
) -> None:
    """One platform's authority could else speak for another's."""
    impostor = trustme.CA(world.cloudsms, organization_name="Another platform", organization_unit_name="Root")
    context = world.client(impostor)
    assert (await call(service, TENCENT, context)).status == 403
    assert (await call(service, CLOUDSMS, context)).status == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_strangers_certificate_or_an_expired_one_ends_the_handshake(
    service: Service, world: World, version: str
) -> None:
    namesake = trustme.CA(organization_name="Another platform", organization_unit_name="Root")
    for context in (
        world.client(trustme.CA(), version=version),
        world.client(namesake, version=version),
        world.client(world.cloudsms, version=version, days=-1),
    ):
        with pytest.raises((OSError, IndexError)):  # TLS 1.3: the client hears of it where the answer should be
            await call(service, HUAWEI, context)


async def test_the_wrong_certificate_tells_nothing_of_tokens(cluster: str, template: str, world: World) -> None:
    token = "a-token-of-16-characters"
    async with shared_service(cluster, template, **world.settings(), callback_tokens=token) as service:
        context = world.client(None)
        for path, status in ((CLOUDSMS, 404), (f"{CLOUDSMS}/{token}", 403), (f"{HUAWEI}/{token}", 200)):
            body = good_body("/".join(path.split("/")[:2]), "token")
            assert (await post(service.url, path, body, context)).status == status


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_is_the_same_in_a_process_of_its_own(
    database: str, world: World, tmp_path: Path, version: str
) -> None:
    """Whose event loop has a TLS of its own."""
    async with process.running(tmp_path, database_url=database, **world.settings()) as service:
        context = world.client(world.cloudsms, version=version)
        first = await call(service, CLOUDSMS, context)
        again = await call(service, CLOUDSMS, context, first.session)
        assert (first.status, again.status, again.resumed) == (200, 200, True)
        assert (await call(service, TENCENT, context)).status == 403
        assert (await call(service, CLOUDSMS, world.client(None, version=version))).status == 403
        with pytest.raises((OSError, IndexError)):
            await call(service, HUAWEI, world.client(trustme.CA(), version=version))
        assert await service.terminate() == 0
        assert service.noise() == []
