"""Pushes that their platform signs: who has the key gets in, everybody else is told 401 and no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from support import service as services
from support.capture import captured_log
from support.cases import case
from support.service import Service
from support.wire import head, request, wire

from receiver.settings import Settings
from receiver.simulate.dialects.huawei_signer import push_headers
from receiver.web.body import SMALL_BYTES

KEYS = ("huawei:first-key:first-secret", "huawei:second-key:second-secret")
SAMPLE = case("huawei/single-vendor-sample")
BATCH = case("huawei/batch-vendor-sample-stray-bracket")


@pytest.fixture
async def signed(make_settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with services.running(make_settings(push_keys=",".join(KEYS), keep_unsigned=True)) as service:
        yield service


def headers(
    service: Service,
    body: bytes = SAMPLE.body,
    path: str = SAMPLE.path,
    access: str = "first-key",
    secret: str = "first-secret",
    at: datetime | None = None,
) -> dict[str, str]:
    return push_headers(
        service.url + path,
        body,
        "application/x-www-form-urlencoded",
        access=access,
        secret=secret,
        at=at or datetime.now(UTC),
    )


def lines(sent: dict[str, str]) -> list[str]:
    """Headers for a request by hand, which has a Host and a length of its own."""
    return [f"{name}: {value}" for name, value in sent.items() if name not in {"Host", "Content-Length"}]


@pytest.mark.parametrize("pair", KEYS)
async def test_either_of_two_key_pairs_signs_a_report_in(signed: Service, pair: str) -> None:
    _, access, secret = pair.split(":")
    status, answer = await signed.post(SAMPLE.path, SAMPLE.body, **headers(signed, access=access, secret=secret))
    assert (status, answer) == (200, {"returnCode": 0, "returnCodeDesc": "Success"})
    assert len(await signed.rows("SELECT * FROM sms.delivery_report")) == 1


async def test_a_push_is_genuine_behind_a_proxy_that_rewrites_host_and_strips_a_prefix(
    make_settings: Callable[..., Settings],
) -> None:
    given = {"access": "first-key", "secret": "first-secret", "at": datetime.now(UTC)}
    public = "https://sms.example.com/in"
    sent = push_headers(public + SAMPLE.path, SAMPLE.body, "application/x-www-form-urlencoded", **given)
    del sent["Host"]
    for public_url, wanted in ((None, 401), (public, 200)):
        async with services.running(make_settings(push_keys=KEYS[0], public_url=public_url)) as service:
            assert (await service.post(SAMPLE.path, SAMPLE.body, **sent))[0] == wanted


async def test_what_is_not_signed_is_answered_401_kept_apart_and_counted(signed: Service) -> None:
    status, answer = await signed.post(SAMPLE.path, SAMPLE.body)
    assert (status, answer) == (401, {"returnCode": 401, "returnCodeDesc": "the signature does not fit"})
    assert await signed.rows("SELECT * FROM sms.delivery_report") == []
    (kept,) = await signed.rows("SELECT body, error FROM sms.rejected_payload")
    assert kept["body"] == SAMPLE.body
    assert "not signed by the platform" in kept["error"]
    async with signed.client.get(signed.ops_url + "/metrics") as response:
        assert 'receiver_rejected_payloads_total{kind="signature",provider="huawei"} 1.0' in await response.text()


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "second-secret"},
        {"access": "nobodys-key"},
        {"body": SAMPLE.body.replace(b"DELIVRD", b"UNDELIV")},
        {"path": "/callback/huawei/reports"},
        {"at": datetime.now(UTC) - timedelta(minutes=16)},
        {"at": datetime.now(UTC) + timedelta(hours=2)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_does_not_fit_is_refused_with_the_same_words(signed: Service, change: dict[str, str]) -> None:
    status, answer = await signed.post(SAMPLE.path, SAMPLE.body, **headers(signed, **change))
    assert (status, answer["returnCodeDesc"]) == (401, "the signature does not fit")


async def test_a_signed_body_that_nobody_understands_is_rejected_as_any_other(signed: Service) -> None:
    status, _ = await signed.post(SAMPLE.path, b"nonsense", **headers(signed, body=b"nonsense"))
    assert status == 400


async def test_platforms_without_a_key_pair_need_not_sign(signed: Service) -> None:
    sample = case("cloudsms/vendor-sample")
    status, _ = await signed.post(sample.path, sample.body)
    assert status == 200


async def test_unsigned_bodies_are_not_kept_unless_asked_for(make_settings: Callable[..., Settings]) -> None:
    async with services.running(make_settings(push_keys=KEYS[0])) as service:
        status, _ = await service.post(BATCH.path, BATCH.body)
        assert status == 401
        assert await service.rows("SELECT * FROM sms.rejected_payload") == []


BY_THE_HEAD = {
    "nothing": lambda _: {},
    "no signature": lambda sent: {**sent, "Authorization": "SDK-HMAC-SHA256 Access=first-key"},
    "an unknown key": lambda sent: {**sent, "Authorization": sent["Authorization"].replace("first-key", "nobodys")},
    "an old date": lambda sent: {**sent, "X-Sdk-Date": "20260101T000000Z"},
}


@pytest.mark.parametrize("change", BY_THE_HEAD.values(), ids=BY_THE_HEAD)
async def test_a_body_is_not_waited_for_where_its_head_is_not_signed(
    make_settings: Callable[..., Settings], change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    async with services.running(make_settings(push_keys=KEYS[0])) as service, wire(service.url) as connection:
        sent = change(headers(service))
        await connection.send(head(SAMPLE.path, *lines(sent), f"Content-Length: {len(SAMPLE.body)}") + SAMPLE.body[:-9])
        answer = await connection.answer()
        assert (answer.status, answer.json["returnCode"]) == (401, 401)
        await connection.send(SAMPLE.body[-9:])


async def test_large_unsigned_bodies_take_no_room_of_a_signed_batch(make_settings: Callable[..., Settings]) -> None:
    """Seventy-five of a megabyte once had all of it."""
    room = 100_000
    settings = make_settings(push_keys=KEYS[0], large_bodies_max_bytes=room, body_timeout_s=60.0)
    async with services.running(settings) as service, AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(wire(service.url)) for _ in range(5)]
        for stranger in strangers:
            await stranger.send(request(BATCH.path, b" " * (SMALL_BYTES + room))[:-5])
        for stranger in strangers:
            assert (await stranger.answer()).status == 401
        large = BATCH.body.ljust(SMALL_BYTES + room // 2)
        assert (await service.post(BATCH.path, large, **headers(service, large, BATCH.path)))[0] == 200


async def test_who_sends_a_megabyte_before_reading_still_reads_the_answer(
    make_settings: Callable[..., Settings],
) -> None:
    async with services.running(make_settings(push_keys=KEYS[0])) as service, wire(service.url) as connection:
        await connection.send(request(BATCH.path, b" " * 1_000_000))
        assert (await connection.answer()).status == 401
        await connection.send(request(BATCH.path, b"", method="HEAD"))
        assert (await connection.answer(without_body=True)).status == 200


async def test_a_flood_of_unsigned_pushes_is_a_few_lines_and_all_of_it_is_counted(
    make_settings: Callable[..., Settings],
) -> None:
    with captured_log() as log:
        async with services.running(make_settings(push_keys=KEYS[0])) as service:
            posts = [service.post(SAMPLE.path, SAMPLE.body) for _ in range(200)]
            assert {status for status, _ in await asyncio.gather(*posts)} == {401}
            async with service.client.get(service.ops_url + "/metrics") as response:
                assert 'kind="signature",provider="huawei"} 200.0' in await response.text()
    told = log.events("payload.not_signed")
    assert 0 < len(told) < 100
    assert {(line["provider"], line["path"], line["error"]) for line in told} == {
        ("huawei", SAMPLE.path, "the header authorization is missing")
    }
