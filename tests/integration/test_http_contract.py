"""The HTTP contract of the callback URLs: methods, paths, media types, and errors in the provider's own shape."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone

import aiohttp
import pytest
from support import service as services
from support.capture import captured_log
from support.cases import case, cases
from support.dialects import (
    ENDPOINT_PATHS,
    FORM,
    assert_bad,
    assert_good,
    content_type,
    good_body,
    own_name,
    sized_body,
    stored,
    tells_of,
)
from support.offenders import Offenders
from support.service import Service, answer_of
from support.shared import shared_service

from receiver import service as lifecycle
from receiver.settings import Settings

MAX_BODY = 20_000
every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, max_body_bytes=MAX_BODY) as service:
        yield service


async def count(service: Service, path: str, name: str) -> int:
    (row,) = await service.rows(*stored(path, name))
    return row["n"]


async def rejected(service: Service) -> list[dict[str, object]]:
    return await service.rows("SELECT * FROM sms.rejected_payload ORDER BY received_at")


@every_url
async def test_a_probe_with_head_is_answered_200_without_a_body(service: Service, path: str) -> None:
    async with service.client.head(f"{service.url}/callback/{path}") as response:
        assert response.status == 200
        assert await response.read() == b""


@every_url
async def test_other_methods_are_told_which_ones_there_are(service: Service, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"):
        async with service.client.request(method, f"{service.url}/callback/{path}") as response:
            assert response.status == 405, method
            assert {name.strip() for name in response.headers["Allow"].split(",")} == {"POST", "HEAD"}
            assert_bad(path, await answer_of(response))


WRONG_PATHS = [
    "/",
    "/callback",
    "/callback/",
    "/callback/huawei",
    "/callback/acme/report",
    "/callback/%00",
    "/favicon.ico",
]


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
async def test_there_is_nothing_at_any_other_path(service: Service, method: str) -> None:
    before = await rejected(service)
    body = good_body("huawei/report", "lost")
    for path in WRONG_PATHS:
        async with service.client.request(method, service.url + path, data=body) as response:
            assert response.status == 404, path
    assert await count(service, "huawei/report", "lost") == 0
    assert await rejected(service) == before


@every_url
async def test_a_body_that_nobody_understands_is_answered_400_in_the_providers_shape(
    service: Service, path: str
) -> None:
    before = len(await rejected(service))
    status, answer = await service.post(f"/callback/{path}", b"\xff<html>", **{"Content-Type": content_type(path)})
    assert status == 400
    assert_bad(path, answer)
    (*_, row) = found = await rejected(service)
    assert len(found) == before + 1
    assert (row["body"], str(row["remote_addr"]), row["path"]) == (b"\xff<html>", "127.0.0.1", f"/callback/{path}")


async def test_the_answer_to_a_uip_packet_echoes_its_serial_and_has_the_time_in_utc_plus_8(service: Service) -> None:
    clock = timezone(timedelta(hours=8))
    before = datetime.now(clock).replace(microsecond=0, tzinfo=None)
    _, answer = await service.post("/callback/cloudsms/report", good_body("cloudsms/report", "echo"))
    after = datetime.now(clock).replace(tzinfo=None)
    assert answer["SERIAL"] == 7
    assert before <= datetime.strptime(answer["TIME"], "%Y-%m-%d %H:%M:%S") <= after  # noqa: DTZ007 - as it is sent


MEDIA_TYPES = [
    None,
    "",
    "text/plain",
    "APPLICATION/JSON",
    "application/json; charset=latin-1",
    "application/x-www-form-urlencoded;charset=ISO-8859-1",
    "Application/X-WWW-Form-Urlencoded; Charset=GBK",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "nonsense",
    "text/html; charset=\xff\xfe",
]


@every_url
async def test_no_media_type_costs_a_report(service: Service, path: str) -> None:
    offenders = Offenders()
    for number, media_type in enumerate(MEDIA_TYPES):
        headers = {} if media_type is None else {"Content-Type": media_type}
        with offenders.of(f"{media_type}"):
            status, answer = await service.post(f"/callback/{path}", good_body(path, f"media-{number}"), **headers)
            assert status == 200
            assert_good(path, answer)
            assert await count(service, path, f"media-{number}") == 1
    assert offenders.found == []


@pytest.mark.parametrize("charset", ["", "; charset=ISO-8859-1", "; charset=GBK"])
async def test_text_is_utf_8_whatever_the_header_says(service: Service, charset: str) -> None:
    name = f"text{charset[10:]}"
    body = good_body("huawei/uplink", name, fill="%E9%80%80%E8%AE%A2")
    await service.post("/callback/huawei/uplink", body, **{"Content-Type": FORM + charset})
    replies = await service.rows("SELECT body FROM sms.reply WHERE message_id = $1", own_name("huawei/uplink", name))
    assert [row["body"] for row in replies] == ["退订"]


SIBLINGS = [case for case in cases() if "expected_path" in case.expected]


async def test_a_body_at_a_siblings_url_is_stored_with_a_warning_that_names_the_right_one(service: Service) -> None:
    offenders = Offenders()
    for strayed in SIBLINGS:
        with captured_log() as log:
            status, _ = await service.post(strayed.path, strayed.body, **strayed.headers)
        with offenders.of(strayed.name):
            assert status == 200
            (warning,) = log.events("payload.wrong_url")
            assert warning["level"] == "warning"
            assert warning["path"] == strayed.path
            assert warning["right_path"] == f"/callback/{strayed.expected['expected_path']}"
            assert warning["request_id"] == log.events("report.stored", "reply.stored")[0]["request_id"]
    assert offenders.found == []


async def test_a_console_with_the_wrong_url_is_told_of_in_few_lines(service: Service) -> None:
    batch = case("huawei/batch-vendor-sample-stray-bracket")
    with captured_log() as log:
        for _ in range(50):
            assert (await service.post("/callback/huawei/report", batch.body, **batch.headers))[0] == 200
    told = log.events("payload.wrong_url")
    assert len(told) < 50
    assert len(log.events("report.stored", "report.duplicate")) >= 50


@every_url
async def test_a_body_at_the_right_url_is_not_warned_about(service: Service, path: str) -> None:
    with captured_log() as log:
        await service.post(f"/callback/{path}", good_body(path, "right-url"))
    assert log.events("payload.wrong_url") == []


@every_url
async def test_a_compressed_body_is_refused_and_its_bytes_are_kept(service: Service, path: str) -> None:
    for encoding in ("gzip", "deflate", "br", "GZIP", "x-unheard-of"):
        body = gzip.compress(good_body(path, f"compressed-{encoding}"))
        status, answer = await service.post(f"/callback/{path}", body, **{"Content-Encoding": encoding})
        assert status == 415, encoding
        assert_bad(path, answer)
        (*_, row) = await rejected(service)
        assert (row["body"], row["path"]) == (body, f"/callback/{path}")
        assert "compressed" in row["error"]
        assert await count(service, path, f"compressed-{encoding}") == 0


async def test_identity_is_no_compression(service: Service) -> None:
    status, _ = await service.post(
        "/callback/huawei/report", good_body("huawei/report", "identity"), **{"Content-Encoding": "Identity"}
    )
    assert status == 200


@every_url
async def test_a_body_of_just_the_allowed_size_is_stored_and_a_larger_one_is_not(service: Service, path: str) -> None:
    fits = sized_body(path, "size-ok", MAX_BODY)
    assert len(fits) == MAX_BODY
    status, _ = await service.post(f"/callback/{path}", fits)
    assert status == 200
    assert await count(service, path, "size-ok") == 1
    status, answer = await service.post(f"/callback/{path}", fits + b" ")
    assert status == 413
    assert_bad(path, answer)


@every_url
async def test_the_address_of_the_client_is_recorded(service: Service, path: str) -> None:
    await service.post(f"/callback/{path}", good_body(path, "address"))
    view = {"replies": "reply", "reports": "delivery_report"}[tells_of(path)]
    rows = await service.rows(f"SELECT remote_addr FROM sms.{view} ORDER BY received_at DESC LIMIT 1")
    assert [str(row["remote_addr"]) for row in rows] == ["127.0.0.1"]


VENDOR_HEADERS = {
    "OmpsId": "1",
    "tErMiNaLiP": "10.0.0.1",
    "UserTrace": "é",
    "X-Sdk-Date": "20261120T091504Z",
    "Authorization": "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=0",
    "Connection": "close",
}


@every_url
async def test_headers_that_platforms_add_disturb_nothing(service: Service, path: str) -> None:
    status, _ = await service.post(f"/callback/{path}", good_body(path, "headers"), **VENDOR_HEADERS)
    assert status == 200
    assert await count(service, path, "headers") == 1


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@every_url
async def test_when_nothing_can_keep_it_the_provider_is_asked_to_come_again(
    make_settings: Callable[..., Settings], path: str
) -> None:
    settings = make_settings(
        database_url=f"postgresql://nobody@127.0.0.1:{closed_port()}/none", spool_max_bytes=1, max_body_bytes=1_000_000
    )
    large = good_body(path, "busy") + b" " * 400_000
    with captured_log() as log:
        async with lifecycle.running(settings, asyncio.Event()) as listeners, aiohttp.ClientSession() as client:
            for headers in ({}, {"Content-Encoding": "gzip"}):
                url = f"{listeners.public.url}/callback/{path}"
                async with client.post(url, data=large, headers=headers) as response:
                    assert response.status == 503
                    assert int(response.headers["Retry-After"]) > 0
                    assert_bad(path, await answer_of(response), busy=True)
            async with client.get(f"{listeners.ops.url}/readyz") as response:
                assert response.status == 503
                assert (await response.json())["status"] == "not ready"
    assert log.events("report.not_kept")
    assert "Traceback" not in log.text


async def test_without_the_database_a_report_is_spooled_and_the_answer_is_good(
    make_settings: Callable[..., Settings], service: Service
) -> None:
    settings = make_settings(database_url=f"postgresql://nobody@127.0.0.1:{closed_port()}/none")
    async with lifecycle.running(settings, asyncio.Event()) as listeners:
        away = services.Service(listeners.public.url, "", service.client, service.sql, settings, asyncio.Event())
        for path in ENDPOINT_PATHS:
            status, answer = await away.post(f"/callback/{path}", good_body(path, "spooled"))
            assert status == 200
            assert_good(path, answer)
