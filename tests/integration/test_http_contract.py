"""The HTTP contract of the callback URLs: methods, paths, media types, and errors in the provider's own shape."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
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
)
from support.offenders import Offenders
from support.service import Service, answer_of
from support.shared import shared_service

from receiver import service as lifecycle

MAX_BODY = 20_000
every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template, max_body_bytes=MAX_BODY) as service:
        yield service


async def rejected(service: Service) -> list[dict[str, object]]:
    return await service.rows("SELECT * FROM sms.rejected_payload ORDER BY received_at")


@every_url
async def test_a_probe_with_head_is_good_and_other_methods_are_told_which_ones_there_are(
    service: Service, path: str
) -> None:
    url = f"{service.url}/callback/{path}"
    async with service.client.head(url) as response:
        assert (response.status, await response.read()) == (200, b"")
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"):
        async with service.client.request(method, url) as response:
            assert response.status == 405, method
            assert {name.strip() for name in response.headers["Allow"].split(",")} == {"POST", "HEAD"}
            assert_bad(path, await answer_of(response))


@every_url
async def test_what_cannot_be_understood_is_refused_in_the_providers_shape_and_kept(
    service: Service, path: str
) -> None:
    zipped = gzip.compress(good_body(path, "compressed"))
    for body, encoding, status, error in (
        (b"\xff<html>", "identity", 400, ""),
        *((zipped, encoding, 415, "compressed") for encoding in ("gzip", "deflate", "br", "GZIP", "x-unheard-of")),
    ):
        before = len(await rejected(service))
        headers = {"Content-Type": content_type(path), "Content-Encoding": encoding}
        got, answer = await service.post(f"/callback/{path}", body, **headers)
        assert got == status, encoding
        assert_bad(path, answer)
        (*_, row) = found = await rejected(service)
        assert len(found) == before + 1
        assert (row["body"], str(row["remote_addr"]), row["path"]) == (body, "127.0.0.1", f"/callback/{path}")
        assert error in str(row["error"])
    assert await service.count(path, "compressed") == 0


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


VENDOR_HEADERS = {
    "OmpsId": "1",
    "tErMiNaLiP": "10.0.0.1",
    "UserTrace": "é",
    "X-Sdk-Date": "20261120T091504Z",
    "Authorization": "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=0",
    "Connection": "close",
}


@every_url
async def test_neither_a_media_type_nor_a_header_nor_its_size_costs_a_report(service: Service, path: str) -> None:
    sent = [({} if media_type is None else {"Content-Type": media_type}) for media_type in MEDIA_TYPES]
    sent += [VENDOR_HEADERS, {"Content-Encoding": "Identity"}]
    bodies = [good_body(path, f"good-{number}") for number in range(len(sent))]
    bodies[0] = sized_body(path, "good-0", MAX_BODY)
    assert len(bodies[0]) == MAX_BODY
    offenders = Offenders()
    with captured_log() as log:
        for number, (headers, body) in enumerate(zip(sent, bodies, strict=True)):
            with offenders.of(f"{headers}"):
                status, answer = await service.post(f"/callback/{path}", body, **headers)
                assert status == 200
                assert_good(path, answer)
                assert await service.count(path, f"good-{number}") == 1
    assert offenders.found == []
    assert log.events("payload.wrong_url") == []
    assert {line["remote"] for line in log.events("report.stored", "reply.stored")} == {"127.0.0.1"}
    status, answer = await service.post(f"/callback/{path}", bodies[0] + b" ")
    assert status == 413
    assert_bad(path, answer)


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
    batch = case("huawei/batch-vendor-sample-stray-bracket")
    with captured_log() as log:
        for _ in range(50):
            assert (await service.post("/callback/huawei/report", batch.body, **batch.headers))[0] == 200
    assert len(log.events("payload.wrong_url")) < 50, "a console with the wrong URL is told of in few lines"
    assert len(log.events("report.stored", "report.duplicate")) >= 50


@pytest.mark.parametrize("room", [1 << 30, 1])
async def test_without_the_database_a_report_is_spooled_or_the_provider_is_asked_to_come_again(
    service: Service, tmp_path: Path, room: int
) -> None:
    nowhere = {"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none"), "data_dir": tmp_path}
    changes = nowhere | {"max_body_bytes": 1_000_000, "spool_max_bytes": room}
    with captured_log() as log:
        async with lifecycle.running(service.settings.model_copy(update=changes), asyncio.Event()) as listeners:
            for path in ENDPOINT_PATHS:
                url, large = f"{listeners.public.url}/callback/{path}", good_body(path, "large") + b" " * 400_000
                for encoding in ("identity", "gzip") if room == 1 else ("identity",):
                    headers = {"Content-Encoding": encoding}
                    async with service.client.post(url, data=large, headers=headers) as response:
                        answer = await answer_of(response)
                    if room == 1:
                        assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
                        assert_bad(path, answer, busy=True)
                    else:
                        assert response.status == 200
                        assert_good(path, answer)
    assert bool(log.events("report.not_kept")) == (room == 1)
    assert "Traceback" not in log.text
