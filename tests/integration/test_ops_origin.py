"""The ops listener without a token: programs are answered, a page in the operator's browser is not."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from support import service as services
from support.capture import captured_log
from support.service import Service
from support.shared import shared_service
from support.wire import Answer, request, wire

from receiver.settings import Settings

NAME = "receiver.monitoring.svc"
TOKEN = "an-ops.token-of-some-length"
SUBMISSION = b'{"code":"000000","result":[{"originTo":"+8615512345678","smsMsgId":"%s","status":"000000","total":1}]}'
GUARDED = ["/metrics", "/spool", "/spool/export", "/nowhere"]


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, ops_allowed_hosts=f"{NAME}, Other.example") as service:
        yield service


async def ask(
    service: Service, path: str, *headers: str, host: str | None = None, method: str = "GET", body: bytes = b""
) -> Answer:
    authority = urlsplit(service.ops_url).netloc if host is None else host
    whole = request(path, body, *headers, method=method).replace(b"receiver.test", authority.encode(), 1)
    async with wire(service.ops_url) as connection:
        await connection.send(whole)
        return await connection.answer()


async def submissions(service: Service) -> int:
    (row,) = await service.rows("SELECT count(*) AS n FROM sms.submission")
    return row["n"]


CROSS_SITE = {
    "a form": ["Origin: https://news.example", "Sec-Fetch-Site: cross-site", "Content-Type: text/plain"],
    "a form in an older browser": ["Origin: http://news.example"],
    "a form in a sandbox": ["Origin: null"],
    "another port of this machine": ["Origin: http://127.0.0.1:3000", "Sec-Fetch-Site: same-site"],
    "a page that sends no origin": ["Sec-Fetch-Site: cross-site"],
    "an origin that is none": ["Origin: http://[::1"],
}


@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE)
async def test_a_page_of_another_site_hands_over_no_submission(service: Service, headers: list[str]) -> None:
    before = await submissions(service)
    answer = await ask(service, "/submissions/huawei", *headers, method="POST", body=SUBMISSION % b"forged")
    assert answer.status == 403
    assert "RECEIVER_OPS_TOKEN" in answer.json["error"]
    assert await submissions(service) == before
    for path in GUARDED:
        assert (await ask(service, path, *headers)).status == 403


@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:8081", "127.0.0.1.rebound.example", "localhost.x"]
)
async def test_a_name_that_was_made_to_lead_here_reads_and_writes_nothing(service: Service, host: str) -> None:
    """DNS rebinding: to the browser the page and the listener are one site."""
    same_origin = [f"Origin: http://{host}", "Sec-Fetch-Site: same-origin"]
    for path in GUARDED:
        answer = await ask(service, path, *same_origin, host=host)
        assert answer.status == 403
        assert "RECEIVER_OPS_ALLOWED_HOSTS" in answer.json["error"]
    before = await submissions(service)
    answer = await ask(
        service, "/submissions/huawei", *same_origin, host=host, method="POST", body=SUBMISSION % b"rebound"
    )
    assert answer.status == 403
    assert await submissions(service) == before


HOSTS = ["127.0.0.1", "127.0.0.1:8081", "10.2.3.4:8081", "[::1]:8081", "[fe80::1%25eth0]:8081", "localhost:8081"]
HOSTS += ["LOCALHOST", "receiver.localhost:8081", NAME, f"{NAME.upper()}:8081", f"{NAME}.:8081", "other.example"]


@pytest.mark.parametrize("host", HOSTS)
async def test_programs_that_call_it_by_address_or_by_a_known_name_are_answered(service: Service, host: str) -> None:
    """Prometheus by address, a load balancer, `receiver spool`, an application on the same machine."""
    assert (await ask(service, "/metrics", host=host)).status == 200
    handed = SUBMISSION % b"by-%s" % host.encode()
    assert (await ask(service, "/submissions/huawei", host=host, method="POST", body=handed)).status == 200


async def test_a_program_that_speaks_http_1_0_names_no_host(service: Service) -> None:
    async with wire(service.ops_url) as connection:
        await connection.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_who_types_the_address_into_a_browser_sees_the_metrics(service: Service, site: str) -> None:
    assert (await ask(service, "/metrics", f"Sec-Fetch-Site: {site}")).status == 200


async def test_probes_are_answered_by_any_name(service: Service) -> None:
    for path in ("/healthz", "/readyz"):
        assert (
            await ask(service, path, "Sec-Fetch-Site: cross-site", host="receiver.load-balancer.internal")
        ).status == 200


async def test_the_log_says_in_few_lines_who_was_refused(make_settings: Callable[..., Settings]) -> None:
    with captured_log() as log:
        async with services.running(make_settings()) as service:
            for _ in range(30):
                await ask(service, "/metrics", host="prometheus-calls-it-so")
    lines = log.events("ops.refused")
    assert 0 < len(lines) < 20
    assert lines[0]["host"] == "prometheus-calls-it-so"
    assert "RECEIVER_OPS_ALLOWED_HOSTS" in lines[0]["error"]


async def test_with_a_token_names_and_origins_are_all_the_same(cluster: str, template: str) -> None:
    """No page has it, and no browser sends it by itself."""
    async with shared_service(cluster, template, ops_token=TOKEN) as service:
        bearer = f"Authorization: Bearer {TOKEN}"
        assert (await ask(service, "/metrics", bearer, host="receiver:8081")).status == 200
        assert (await ask(service, "/metrics", "Origin: http://rebound.example", host="rebound.example")).status == 401
