"""Whatever a body holds: no 5xx, no traceback, and nothing lost without a trace."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.capture import captured_log
from support.cases import cases
from support.dialects import ENDPOINT_PATHS, assert_bad, assert_good, content_type, good_body
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
    "blanks": b" \r\n\t ",
    "one byte": b"\xff",
    "broken UTF-8": b'{"a":"\xe4\xb8"}',
    "a byte order mark alone": b"\xef\xbb\xbf",
    "UTF-16": '[{"sid":"x"}]'.encode("utf-16"),
    "U+0000": b"\0",
    "neither form nor JSON": b"<html><body>502 Bad Gateway</body></html>",
    "JSON cut short": b'{"statusReportList":[{"smsMsgId":"x","status":"DELI',
    "more behind the JSON": b'[{"sid":"a"}] [{"sid":"b"}]',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list in a list": b"[[]]",
    "null": b"null",
    "a number": b"1",
    "NaN": b"NaN",
    "NaN within": b'[{"sid":"a","x":NaN}]',
    "Infinity": b'{"statusReportList":[{"smsMsgId":"x","status":Infinity}]}',
    "a thousand digits": b"9" * 1_000,
    "a million digits": b"9" * 1_000_000,
    "100 levels": b"[" * 100 + b"]" * 100,
    "100 objects": b'{"a":' * 100 + b"1" + b"}" * 100,
    "100000 levels": b"[" * 100_000,
    "100000 objects": b'{"a":' * 100_000,
    "a repeated key": b'{"smsMsgId":"a","sid":"b","sid":"c","status":"X","smsMsgId":"d"}',
    "a repeated key that is U+0000": b'{"\\u0000":1,"\\u0000":2}',
    "a repeated key that is half of a pair": b'{"\\ud800":1,"\\ud800":2}',
    "ninety thousand keys, the last one repeated": b"{%s}"
    % b",".join(b'"%d":0' % min(n, 89_999) for n in range(90_001)),
    "lone surrogates": b'["\\ud800","\\udfff"]',
    "only separators": b"&&&&====&&&",
    "more fields than any form": b"a=1&" * 5_000,
    "broken percent encoding": b"smsMsgId=%ff%fe&status=%",
    "a list where the object belongs": b'{"statusReportList":[["DELIVRD"]],"SMS_RESULT_LIST":[[]],"METHOD":[]}',
    "an object where the list belongs": b'{"statusReportList":{},"SMS_RESULT_LIST":{}}',
}


@every_url
async def test_what_is_no_report_is_kept_as_rejected(service: Service, path: str) -> None:
    offenders = Offenders()
    for name, body in NO_REPORT.items():
        with offenders.of(name):
            assert await assert_survives(service, path, body) == 400
    assert offenders.found == []


STRANGE = [
    "9" * 1_000,
    "-" + "9" * 1_000,
    "1e999999",
    "0." + "3" * 5_000,
    "1E-999999",
    "true",
    "null",
    "{}",
    "[]",
    "[" * 100 + "]" * 100,
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"2024-02-30T25:00:00Z"',
    '"0000-00-00 00:00:00"',
    '"9999-12-31T23:59:59Z"',
    '"9999-12-31 23:59:59"',
    '"0001-01-01 00:00:00"',
    '"abc"',
    '"%00%ff%"',
    '"' + "0" * 5_000 + '1"',
    '"' + "9" * 5_000 + '"',
    '"' + "x" * 20_000 + '"',
    '"٣٤٥"',
    '"²"',
    '"\\u202e\\u0007\\u001b[31m"',
    "-1",
    "0",
    "65536",
    "2147483648",
    "1.0",
    "1e3",
]


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


@every_url
async def test_a_strange_value_in_any_field_is_survived(service: Service, path: str) -> None:
    """SERIAL, times, segment numbers, ids, numbers, texts: one after another, of every kind."""
    body = good_body(path, "strange")
    if content_type(path) != "application/json":
        pairs = [pair.split(b"=") for pair in body.split(b"&")] + [[b"total", b"2"], [b"updateTime", b""]]
        for token in STRANGE:
            for changed, _ in pairs:
                values = (
                    name + b"=" + (token.strip('"').encode() if name == changed else value) for name, value in pairs
                )
                await assert_survives(service, path, b"&".join(values))
        return
    for token in STRANGE:
        for way in fields(json.loads(body)):
            await assert_survives(service, path, with_token(body, way, token))


BODIES = {path: [good_body(path, "mutant")] for path in ENDPOINT_PATHS}
for _case in cases():
    BODIES[_case.expected["endpoint"]].append(_case.body)
TOKENS = [token.encode() for token in STRANGE if len(token) < 2_000]


@st.composite
def mutants(draw: st.DrawFn, path: str) -> bytes:
    """A payload that somebody sent once, and what a broken network or a bad mind makes of it."""
    body = draw(st.sampled_from(BODIES[path]))[:20_000]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        to = draw(st.integers(at, min(at + 40, len(body))))
        kind = draw(st.sampled_from(["flip", "cut", "splice", "insert", "token", "repeat", "delete"]))
        if kind == "flip" and at < len(body):
            body = body[:at] + bytes([body[at] ^ 1 << draw(st.integers(0, 7))]) + body[at + 1 :]
        elif kind == "cut":
            body = body[:at]
        elif kind == "splice":
            other = draw(st.sampled_from(BODIES[draw(st.sampled_from(ENDPOINT_PATHS))]))[:5_000]
            body = body[:at] + other[draw(st.integers(0, len(other))) :] + body[to:]
        elif kind == "insert":
            body = body[:at] + draw(st.binary(max_size=8)) + body[to:]
        elif kind == "token":
            body = body[:at] + draw(st.sampled_from(TOKENS)) + body[to:]
        elif kind == "repeat":
            body = body[:at] + body[at:to] * draw(st.integers(2, 50)) + body[to:]
        else:
            body = body[:at] + body[to:]
    return body


@every_url
@settings(max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@example(data=None)
@given(data=st.data())
async def test_no_mutation_of_a_payload_is_lost(service: Service, path: str, data: st.DataObject | None) -> None:
    body = good_body(path, "mutant") if data is None else data.draw(mutants(path))
    await assert_survives(service, path, body)
