"""Who may call, and whose address is kept: in the answer, in SQL, in the log and in the metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from support import service as services
from support.capture import captured_log
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, good_body
from support.service import Service
from support.shared import shared_service
from support.wire import request, wire

from receiver.providers import PROVIDERS
from receiver.settings import Settings

PROXIES = "127.0.0.0/8,::1"
TOKEN = "a-token-of-sixteen-or-more"
OUTSIDE = "198.51.100.7"
INSIDE = "223.119.32.232"
"""Of the preset `cloudsms`."""

ALL = [provider.name for provider in PROVIDERS]
COUNTS = """
SELECT (SELECT count(*) FROM sms.delivery_report) + (SELECT count(*) FROM sms.reply) AS stored,
       (SELECT count(*) FROM sms.rejected_payload) AS rejected
"""
REMOTE = "SELECT host(remote_addr) AS remote FROM sms.delivery_report WHERE message_id LIKE $1"
every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)


@pytest.fixture(scope="module")
async def proxied(cluster: str, template: str) -> AsyncIterator[Service]:
    """Behind a trusted proxy: ourselves."""
    async with shared_service(cluster, template, trusted_proxies=PROXIES) as service:
        yield service


@pytest.fixture(scope="module")
async def listed(cluster: str, template: str) -> AsyncIterator[Service]:
    """Behind a trusted proxy, with a list for every platform."""
    lists = ["cloudsms=cloudsms", "huawei=huawei", "huawei=2001:db8::/32", *(f"{name}=203.0.113.0/24" for name in ALL)]
    changes = {"trusted_proxies": PROXIES, "allowed_addresses": ",".join(lists), "callback_tokens": TOKEN}
    async with shared_service(cluster, template, **changes) as service:
        yield service


async def metric(service: Service, beginning: str) -> float:
    async with service.client.get(f"{service.ops_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(beginning))


async def remote(service: Service, name: str) -> str | None:
    (row,) = await service.rows(REMOTE, f"{name}%")
    return row["remote"]


@pytest.mark.parametrize(
    ("name", "headers", "kept"),
    [
        ("nothing", [], "127.0.0.1"),
        ("list", ["X-Forwarded-For: 1.1.1.1, 198.51.100.7"], OUTSIDE),
        ("lines", ["X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 127.0.0.9"], OUTSIDE),
        ("element", ['Forwarded: for=1.1.1.1, for="[2001:db8::7]:443";proto=https'], "2001:db8::7"),
        ("both", ["Forwarded: for=1.1.1.1", "X-Forwarded-For: 198.51.100.7"], "127.0.0.1"),
        ("agreed", ["Forwarded: for=198.51.100.7", "X-Forwarded-For: 198.51.100.7"], OUTSIDE),
        ("mapped", ["x-forwarded-for: ::ffff:198.51.100.7"], OUTSIDE),
        ("garbage", ["X-Forwarded-For: '); DROP TABLE"], "127.0.0.1"),
    ],
)
async def test_what_a_trusted_proxy_says_is_in_sql_and_in_the_log(
    proxied: Service, name: str, headers: list[str], kept: str
) -> None:
    with captured_log() as log:
        async with wire(proxied.url) as connection:
            await connection.send(request("/callback/huawei/report", good_body("huawei/report", name), *headers))
            assert (await connection.answer()).status == 200
    assert await remote(proxied, name) == kept
    (line,) = log.events("report.stored")
    assert line["remote"] == kept


async def test_without_trusted_proxies_nobody_is_believed(service: Service) -> None:
    claims = {"X-Forwarded-For": OUTSIDE, "Forwarded": f"for={OUTSIDE}"}
    assert (await service.post("/callback/huawei/report", good_body("huawei/report", "claim"), **claims))[0] == 200
    assert await remote(service, "claim") == "127.0.0.1"


async def test_a_submission_has_its_senders_address_too(proxied: Service) -> None:
    body = b'{"code":"000000","result":[{"originTo":"+8615512345678","smsMsgId":"handed","status":"000000","total":1}]}'
    url = f"{proxied.ops_url}/submissions/huawei"
    async with proxied.client.post(url, data=body, headers={"X-Forwarded-For": OUTSIDE}) as response:
        assert response.status == 200
    (row,) = await proxied.rows("SELECT host(remote_addr) AS remote FROM sms_data.submission")
    assert row["remote"] == OUTSIDE


@every_url
async def test_another_address_is_refused_in_the_platforms_words_and_leaves_nothing(listed: Service, path: str) -> None:
    (before,) = await listed.rows(COUNTS)
    provider = path.partition("/")[0]
    counted = f'receiver_refused_addresses_total{{provider="{provider}"}}'
    refused = await metric(listed, counted)
    for body in (good_body(path, "refused"), b"not understood"):
        status, answer = await listed.post(f"/callback/{path}/{TOKEN}", body, **{"X-Forwarded-For": OUTSIDE})
        assert status == 403
        assert_bad(path, answer)
    assert await listed.rows(COUNTS) == [before]
    assert await metric(listed, counted) == refused + 2


ALLOWED = dict.fromkeys(ALL, ("203.0.113.9",)) | {
    "cloudsms": (INSIDE, "203.0.113.9"),
    "huawei": ("117.78.29.200", "203.0.113.9", "2001:db8:1::9"),
}


@every_url
async def test_a_listed_address_may_call(listed: Service, path: str) -> None:
    for number, address in enumerate(ALLOWED[path.partition("/")[0]]):
        body = good_body(path, f"allowed-{number}")
        status, answer = await listed.post(f"/callback/{path}/{TOKEN}", body, **{"X-Forwarded-For": address})
        assert status == 200
        assert_good(path, answer)


async def test_a_list_is_for_its_platform_alone(make_settings: Callable[..., Settings]) -> None:
    async with services.running(make_settings(allowed_addresses={"cloudsms": ("cloudsms",)})) as service:
        for path in ENDPOINT_PATHS:
            status, _ = await service.post(f"/callback/{path}", good_body(path, "alone"))
            assert status == (403 if path.startswith("cloudsms") else 200)


async def test_who_has_no_token_is_not_told_of_addresses(listed: Service) -> None:
    for address in (OUTSIDE, INSIDE):
        for path in ("/callback/cloudsms/report", "/callback/cloudsms/report/not-the-token-of-ours"):
            status, _ = await listed.post(path, b"", **{"X-Forwarded-For": address})
            assert status == 404


async def test_a_body_from_another_address_is_not_waited_for(listed: Service) -> None:
    async with wire(listed.url) as connection:
        await connection.send(request(f"/callback/tencent/reports/{TOKEN}", b"x" * 100)[:-50])
        assert (await connection.answer()).status == 403


async def test_the_log_tells_of_a_flood_in_few_lines(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(allowed_addresses={"tencent": ("203.0.113.0/24",)}, callback_tokens=TOKEN)
    with captured_log(tokens=[TOKEN]) as log:
        async with services.running(settings) as service:
            posts = [service.post(f"/callback/tencent/reply/{TOKEN}", b"") for _ in range(200)]
            assert {status for status, _ in await asyncio.gather(*posts)} == {403}
    lines = log.events("address.refused")
    assert 0 < len(lines) < 100
    assert {(line["provider"], line["remote"], line["path"]) for line in lines} == {
        ("tencent", "127.0.0.1", "/callback/tencent/reply")
    }
    assert TOKEN not in log.text


async def test_an_incomplete_preset_is_told_at_the_start(make_settings: Callable[..., Settings]) -> None:
    with captured_log() as log:
        async with services.running(
            make_settings(allowed_addresses={"huawei": ("huawei",), "cloudsms": ("cloudsms",)})
        ):
            pass
    assert [line["preset"] for line in log.events("addresses.incomplete")] == ["huawei"]
