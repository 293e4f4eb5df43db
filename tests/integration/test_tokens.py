"""Inbound tokens: without the right one nothing is stored, and none is ever written anywhere."""

from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import quote

import pytest
from support import service as services
from support.capture import Captured, captured_log
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, good_body, stored
from support.offenders import Offenders
from support.service import Service
from support.shared import shared_service
from support.wire import request, wire

from receiver.settings import Settings

OLD, NEW = "the-old-token.0123456789", "the_new_token~9876543210"
TOKENS = (OLD, NEW)
every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, callback_tokens=",".join(TOKENS)) as service:
        yield service


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[Captured]:
    with captured_log(request.param, tokens=TOKENS) as log:
        yield log


async def counts(service: Service) -> dict[str, int]:
    (row,) = await service.rows(
        "SELECT (SELECT count(*) FROM sms.delivery_report) + (SELECT count(*) FROM sms.reply) AS stored,"
        " (SELECT count(*) FROM sms.rejected_payload) AS rejected"
    )
    return row


@every_url
async def test_each_of_the_valid_tokens_opens_every_url(service: Service, path: str) -> None:
    for token in TOKENS:
        status, answer = await service.post(f"/callback/{path}/{token}", good_body(path, f"opened-{token}"))
        assert status == 200
        assert_good(path, answer)
        (row,) = await service.rows(*stored(path, f"opened-{token}"))
        assert row["n"] == 1


async def test_a_token_is_the_same_when_it_is_percent_encoded(service: Service) -> None:
    encoded = "".join(f"%{ord(character):02X}" for character in NEW)
    async with wire(service.url) as connection:
        body = good_body("huawei/report", "encoded")
        await connection.send(request(f"/callback/huawei/report/{encoded}", body))
        assert (await connection.answer()).status == 200


WRONG = {
    "none": "",
    "an empty one": "/",
    "another": "/another-token-of-16-characters",
    "the beginning of one": f"/{OLD[:-1]}",
    "one and more": f"/{OLD}0",
    "in capitals": f"/{OLD.upper()}",
    "both": f"/{OLD},{NEW}",
    "one with a slash behind": f"/{OLD}/",
    "one behind another segment": f"/x/{OLD}",
    "one in the query": f"?token={OLD}",
    "beyond ASCII": f"/{quote('令牌令牌令牌令牌')}",
    "no UTF-8": "/%ff%fe%fd",
    "half of a surrogate pair": "/%ed%a0%80",
    "U+0000": f"/{OLD}%00",
    "a very long one": "/" + "x" * 5_000,
    "stars": "/***",
}
NO_CALLBACK_URL = {"an empty one", "one with a slash behind", "one behind another segment"}
"""Their paths have not the form of one."""


@every_url
async def test_without_a_valid_token_there_is_nothing(service: Service, path: str) -> None:
    before = await counts(service)
    offenders = Offenders()
    for name, wrong in WRONG.items():
        async with wire(service.url) as connection:
            await connection.send(request(f"/callback/{path}{wrong}", good_body(path, "closed")))
            answer = await connection.answer()
        with offenders.of(name):
            assert answer.status == 404
            assert OLD.encode() not in answer.body
            if name not in NO_CALLBACK_URL:
                assert_bad(path, answer.said)
            assert await counts(service) == before
    assert offenders.found == []


@every_url
async def test_no_other_method_tells_whether_there_is_a_url(service: Service, path: str) -> None:
    for method in ("HEAD", "GET", "PUT", "OPTIONS"):
        for wrong in ("", "/another-token-of-16-characters"):
            async with service.client.request(method, f"{service.url}/callback/{path}{wrong}") as response:
                assert response.status == 404
        async with service.client.request(method, f"{service.url}/callback/{path}/{NEW}") as response:
            assert response.status == (200 if method == "HEAD" else 405)


@every_url
async def test_a_wrong_token_costs_no_reading_of_the_body(service: Service, path: str) -> None:
    """The answer comes before the body does."""
    async with wire(service.url) as connection:
        await connection.send(request(f"/callback/{path}/wrong-token-of-16-characters", b"x" * 1_000)[:-900])
        assert (await connection.answer()).status == 404


async def test_a_token_is_in_no_log_line_and_no_metric(make_settings: Callable[..., Settings], log: Captured) -> None:
    settings = make_settings(callback_tokens=",".join(TOKENS), log_level="DEBUG")
    async with services.running(settings) as service:
        for path in ENDPOINT_PATHS:
            for token in (*TOKENS, "another-token-of-16-characters"):
                url = f"/callback/{path}/{token}"
                await service.post(url, good_body(path, "secret"))
                await service.post(url, b"not understood")
                await service.post(url, good_body(path, "secret"), **{"Content-Encoding": "gzip"})
                async with wire(service.url) as connection:
                    await connection.send(request(url, b"", "Content-Length: nonsense"))
                    await connection.rest()
        # Somebody who has pasted it into the wrong field.
        await service.post(f"/callback/huawei/report/{NEW}", f"smsMsgId=pasted&status={NEW}".encode())
        async with service.client.get(f"{service.ops_url}/metrics") as response:
            metrics = await response.text()
        rejected = await service.rows("SELECT path, error FROM sms.rejected_payload")
    assert "/callback/huawei/report/" in log.text, "it says where the token goes, and not what it is"
    assert "report.stored" in log.text
    assert "payload.rejected" in log.text
    for token in TOKENS:
        assert token not in log.text
        assert token not in metrics
        assert token not in str(rejected)
    assert "another-token" not in log.text


async def test_without_tokens_configured_a_further_segment_is_no_url(
    make_settings: Callable[..., Settings],
) -> None:
    async with services.running(make_settings()) as service:
        for path in ENDPOINT_PATHS:
            status, answer = await service.post(f"/callback/{path}/{OLD}", good_body(path, "open"))
            assert status == 404
            assert_bad(path, answer)
            assert (await service.post(f"/callback/{path}", good_body(path, "open")))[0] == 200
        assert await counts(service) == {"stored": len(ENDPOINT_PATHS), "rejected": 0}
