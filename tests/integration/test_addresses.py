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

PATH = "huawei/report"
ALL = [provider.name for provider in PROVIDERS]
ALLOWED = dict.fromkeys(ALL, ("203.0.113.9",)) | {
    "cloudsms": (INSIDE, "203.0.113.9"),
    "huawei": ("117.78.29.200", "203.0.113.9", "2001:db8:1::9"),
}
COUNTS = """
SELECT (SELECT count(*) FROM sms.delivery_report) + (SELECT count(*) FROM sms.reply) AS stored,
       (SELECT count(*) FROM sms.rejected_payload) AS rejected
"""
REMOTE = "SELECT host(remote_addr) FROM sms.delivery_report WHERE message_id LIKE $1"


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


@pytest.mark.parametrize(
    ("name", "headers", "kept"),
    [
        ("nothing", [], "127.0.0.1"),
        ("lines", ["X-Forwarded-For: 198.51.100.7", "x-forwarded-for: 127.0.0.9"], OUTSIDE),
        ("element", ['Forwarded: for=1.1.1.1, for="[2001:db8::7]:443";proto=https'], "2001:db8::7"),
        ("both", ["Forwarded: for=1.1.1.1", "X-Forwarded-For: 198.51.100.7"], "127.0.0.1"),
    ],
)
async def test_what_a_trusted_proxy_says_is_in_sql_and_in_the_log(
    proxied: Service, name: str, headers: list[str], kept: str
) -> None:
    with captured_log() as log:
        async with wire(proxied.url) as connection:
            await connection.send(request(f"/callback/{PATH}", good_body(PATH, name), *headers))
            assert (await connection.answer()).status == 200
    assert await proxied.sql.fetchval(REMOTE, f"{name}%") == kept
    (line,) = log.events("report.stored")
    assert line["remote"] == kept


async def test_a_submission_has_its_senders_address_too(proxied: Service) -> None:
    body = b'{"code":"000000","result":[{"originTo":"+8615512345678","smsMsgId":"handed","status":"000000","total":1}]}'
    url = f"{proxied.ops_url}/submissions/huawei"
    async with proxied.client.post(url, data=body, headers={"X-Forwarded-For": OUTSIDE}) as response:
        assert response.status == 200
    assert await proxied.sql.fetchval("SELECT host(remote_addr) FROM sms_data.submission") == OUTSIDE


@pytest.mark.parametrize("path", ENDPOINT_PATHS)
async def test_each_platform_may_be_called_from_its_list_alone(listed: Service, path: str) -> None:
    async def call(address: str, body: bytes) -> int:
        status, answer = await listed.post(f"/callback/{path}/{TOKEN}", body, **{"X-Forwarded-For": address})
        (assert_good if status == 200 else assert_bad)(path, answer)
        return status

    provider = path.partition("/")[0]
    counted = f'receiver_refused_addresses_total{{provider="{provider}"}}'
    before, refused = await listed.rows(COUNTS), await listed.metric(counted)
    assert [await call(OUTSIDE, body) for body in (good_body(path, "refused"), b"not understood")] == [403, 403]
    assert await listed.rows(COUNTS) == before
    assert await listed.metric(counted) == refused + 2
    for number, address in enumerate(ALLOWED[provider]):
        assert await call(address, good_body(path, f"allowed-{number}")) == 200, address


async def test_who_has_no_token_is_not_told_of_addresses(listed: Service) -> None:
    for address in (OUTSIDE, INSIDE):
        for path in ("/callback/cloudsms/report", "/callback/cloudsms/report/not-the-token-of-ours"):
            status, _ = await listed.post(path, b"", **{"X-Forwarded-For": address})
            assert status == 404


async def test_a_body_from_another_address_is_not_waited_for(listed: Service) -> None:
    async with wire(listed.url) as connection:
        await connection.send(request(f"/callback/tencent/reports/{TOKEN}", b"x" * 100)[:-50])
        assert (await connection.answer()).status == 403


async def test_presets_of_two_platforms_without_a_trusted_proxy(make_settings: Callable[..., Settings]) -> None:
    """A list is for its platform alone, nobody's word is believed, and a flood is told of in few lines."""
    lists = {"huawei": ("huawei",), "cloudsms": ("cloudsms",)}
    flooded = f"/callback/{PATH}"
    with captured_log(tokens=[TOKEN]) as log:
        async with services.running(make_settings(allowed_addresses=lists, callback_tokens=TOKEN)) as service:
            for path in ENDPOINT_PATHS:
                claims = {"X-Forwarded-For": INSIDE, "Forwarded": f"for={INSIDE}"}
                status, _ = await service.post(f"/callback/{path}/{TOKEN}", good_body(path, "claim"), **claims)
                assert status == (403 if path.startswith(tuple(lists)) else 200)
            posts = [service.post(f"{flooded}/{TOKEN}", b"") for _ in range(200)]
            assert {status for status, _ in await asyncio.gather(*posts)} == {403}
    assert {line["remote"] for line in log.events("report.stored", "reply.stored")} == {"127.0.0.1"}
    assert [line["preset"] for line in log.events("addresses.incomplete")] == ["huawei"]
    lines = log.events("address.refused")
    assert 0 < len(lines) < 100
    assert ("huawei", "127.0.0.1", flooded) in {(line["provider"], line["remote"], line["path"]) for line in lines}
    assert TOKEN not in log.text
