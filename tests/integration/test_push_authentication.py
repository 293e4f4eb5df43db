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
from support.shared import shared_service
from support.wire import head, request, wire

from receiver.settings import Settings
from receiver.simulate.dialects.huawei_signer import push_headers
from receiver.web.body import SMALL_BYTES

KEYS = ("huawei:first-key:first-secret", "huawei:second-key:second-secret")
ROOM = 100_000
SAMPLE = case("huawei/single-vendor-sample")
BATCH = case("huawei/batch-vendor-sample-stray-bracket")


@pytest.fixture(scope="module")
async def signed(cluster: str, template: str) -> AsyncIterator[Service]:
    """A service that keeps what is not signed."""
    async with shared_service(cluster, template, push_keys=",".join(KEYS), keep_unsigned=True) as service:
        yield service


@pytest.fixture(scope="module")
async def strict(cluster: str, template: str) -> AsyncIterator[Service]:
    """One that does not, and gives large bodies little room and much time."""
    changes = {"push_keys": KEYS[0], "large_bodies_max_bytes": ROOM, "body_timeout_s": 60.0}
    async with shared_service(cluster, template, **changes) as service:
        yield service


async def refused_by_signature(service: Service) -> float:
    return await service.metric('receiver_rejected_payloads_total{kind="signature",provider="huawei"}')


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
    body = f"smsMsgId={access}&status=DELIVRD".encode()
    status, answer = await signed.post(SAMPLE.path, body, **headers(signed, body, access=access, secret=secret))
    assert (status, answer) == (200, {"returnCode": 0, "returnCodeDesc": "Success"})
    assert len(await signed.rows("SELECT 1 FROM sms.delivery_report WHERE message_id = $1", access)) == 1


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
    body, before = b"smsMsgId=unsigned&status=DELIVRD", await refused_by_signature(signed)
    status, answer = await signed.post(SAMPLE.path, body)
    assert (status, answer) == (401, {"returnCode": 401, "returnCodeDesc": "the signature does not fit"})
    assert await signed.rows("SELECT 1 FROM sms.message WHERE message_id = 'unsigned'") == []
    (kept,) = await signed.rows("SELECT error FROM sms.rejected_payload WHERE body = $1", body)
    assert "not signed by the platform" in kept["error"]
    assert await refused_by_signature(signed) == before + 1


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


async def test_what_is_signed_and_wrong_or_needs_no_signature_is_answered_as_ever(signed: Service) -> None:
    assert (await signed.post(SAMPLE.path, b"nonsense", **headers(signed, body=b"nonsense")))[0] == 400
    without_key_pair = case("cloudsms/vendor-sample")
    assert (await signed.post(without_key_pair.path, without_key_pair.body))[0] == 200


async def test_unsigned_bodies_are_not_kept_unless_asked_for(strict: Service) -> None:
    assert (await strict.post(BATCH.path, BATCH.body))[0] == 401
    assert await strict.rows("SELECT * FROM sms.rejected_payload") == []


BY_THE_HEAD = {
    "nothing": lambda _: {},
    "no signature": lambda sent: {**sent, "Authorization": "SDK-HMAC-SHA256 Access=first-key"},
    "an unknown key": lambda sent: {**sent, "Authorization": sent["Authorization"].replace("first-key", "nobodys")},
    "an old date": lambda sent: {**sent, "X-Sdk-Date": "20260101T000000Z"},
}


@pytest.mark.parametrize("change", BY_THE_HEAD.values(), ids=BY_THE_HEAD)
async def test_a_body_is_not_waited_for_where_its_head_is_not_signed(
    strict: Service, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    async with wire(strict.url) as connection:
        sent = change(headers(strict))
        await connection.send(head(SAMPLE.path, *lines(sent), f"Content-Length: {len(SAMPLE.body)}") + SAMPLE.body[:-9])
        answer = await connection.answer()
        assert (answer.status, answer.json["returnCode"]) == (401, 401)
        await connection.send(SAMPLE.body[-9:])


async def test_large_unsigned_bodies_take_no_room_of_a_signed_batch(strict: Service) -> None:
    """Seventy-five of a megabyte once had all of it."""
    async with AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(wire(strict.url)) for _ in range(5)]
        for stranger in strangers:
            await stranger.send(request(BATCH.path, b" " * (SMALL_BYTES + ROOM))[:-5])
        for stranger in strangers:
            assert (await stranger.answer()).status == 401
        large = BATCH.body.ljust(SMALL_BYTES + ROOM // 2)
        assert (await strict.post(BATCH.path, large, **headers(strict, large, BATCH.path)))[0] == 200


async def test_who_sends_a_megabyte_before_reading_still_reads_the_answer(strict: Service) -> None:
    async with wire(strict.url) as connection:
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
            assert await refused_by_signature(service) == 200
    told = log.events("payload.not_signed")
    assert 0 < len(told) < 100
    assert {(line["provider"], line["path"], line["error"]) for line in told} == {
        ("huawei", SAMPLE.path, "the header authorization is missing")
    }
