"""Whatever a body holds: no 5xx, no traceback, and nothing lost without a trace."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from fuzz.inputs import Inputs
from fuzz.mutate import SCALARS
from support.capture import captured_log
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, content_type, good_body, is_form
from support.offenders import Offenders
from support.parsing import parse
from support.service import Service
from support.shared import shared_service

every_url = pytest.mark.parametrize("path", ENDPOINT_PATHS)
OF_OURS = {"payload.adapter_failed", "writer.failed", "database.unavailable", "report.not_kept"}
KEPT = """
SELECT (SELECT count(*) FROM sms.rejected_payload) AS rejected,
       (SELECT body FROM sms.rejected_payload ORDER BY received_at DESC LIMIT 1) AS last_rejected,
       (SELECT count(*) FROM sms.delivery_report) + (SELECT count(*) FROM sms.reply) AS stored
"""
STORED = """
SELECT report_id AS id FROM sms.delivery_report WHERE report_id = ANY ($1)
UNION SELECT reply_id FROM sms.reply WHERE reply_id = ANY ($1)
"""


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        yield service


async def kept(service: Service) -> dict[str, Any]:
    (row,) = await service.rows(KEPT)
    return row


async def assert_survives(service: Service, path: str, body: bytes) -> int:
    """Post it, and account for it: the HTTP status."""
    before = await kept(service)
    with captured_log() as log:
        status, answer = await service.post(f"/callback/{path}", body, **{"Content-Type": content_type(path)})
    after = await kept(service)
    assert "Traceback" not in log.text
    assert OF_OURS.isdisjoint(line["event"] for line in log.lines)
    faulty = status == 400
    if faulty:
        assert_bad(path, answer)
        assert after["stored"] == before["stored"]
    else:
        assert status == 200
        assert_good(path, answer)
        parsed = parse(path, body)
        faulty = bool(parsed.faults)
        ids = {report.report_id for report in parsed.reports} | {reply.reply_id for reply in parsed.replies}
        assert ids
        assert {row["id"].hex for row in await service.rows(STORED, list(ids))} == ids
    assert after["rejected"] == before["rejected"] + faulty
    assert not faulty or after["last_rejected"] == body
    return status


NO_REPORT = {
    "nothing": b"",
    "one byte": b"\xff",
    "UTF-16": '[{"sid":"x"}]'.encode("utf-16"),
    "U+0000": b"\0",
    "a million digits": b"9" * 1_000_000,
    "100 levels": b"[" * 100 + b"]" * 100,
    "100000 levels": b"[" * 100_000,
    "100000 objects": b'{"a":' * 100_000,
    "a repeated key that is U+0000": b'{"\\u0000":1,"\\u0000":2}',
    "a repeated key that is half of a pair": b'{"\\ud800":1,"\\ud800":2}',
    "lone surrogates": b'["\\ud800","\\udfff"]',
    "only separators": b"&&&&====&&&",
    "more fields than any form": b"a=1&" * 5_000,
    "broken percent encoding": b"smsMsgId=%ff%fe&status=%",
    "a list where the object belongs": b'{"statusReportList":[["DELIVRD"]],"SMS_RESULT_LIST":[[]],"METHOD":[]}',
}
"""What stresses the whole way from the socket to PostgreSQL; more is in unit/test_payload_faults.py."""


@every_url
async def test_what_is_no_report_is_kept_as_rejected(service: Service, path: str) -> None:
    offenders = Offenders()
    for name, body in NO_REPORT.items():
        with offenders.of(name):
            assert await assert_survives(service, path, body) == 400
    assert offenders.found == []


STRANGE = [*map(json.dumps, SCALARS), "1e999999", "1E-999999", "0." + "3" * 5_000, "1e3", "[" * 100 + "]" * 100]


def fields(value: object) -> list[list[str | int]]:
    """The way to each scalar of a JSON value."""
    if isinstance(value, dict):
        return [[key, *way] for key, inner in value.items() for way in fields(inner)]
    if isinstance(value, list):
        return [[key, *way] for key, inner in enumerate(value) for way in fields(inner)]
    return [[]]


def with_token(body: bytes, way: list[str | int], token: str) -> bytes:
    """The JSON body with this text in the place of one scalar."""
    value = place = json.loads(body)
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = "@@"
    return json.dumps(value).replace('"@@"', token).encode()


def with_strange_values(path: str) -> Iterator[bytes]:
    """A good body, with one of its fields after another changed to a value of every kind."""
    body = good_body(path, "strange")
    if is_form(path):
        good = dict(parse_qsl(body.decode())) | {"total": "2", "updateTime": ""}
        for name in good:
            yield from (urlencode(good | {name: value}, errors="replace").encode() for value in SCALARS)
        return
    for way in fields(json.loads(body)):
        yield from (with_token(body, way, token) for token in STRANGE)


@every_url
async def test_a_strange_value_in_any_field_is_survived(service: Service, path: str) -> None:
    for body in with_strange_values(path):
        await assert_survives(service, path, body)


@every_url
async def test_no_mutation_of_a_payload_is_lost(service: Service, path: str) -> None:
    inputs = Inputs(20_261_121)
    for number in range(50):
        await assert_survives(service, path, inputs.given(inputs.dice("mutants", number), [path]).body)
