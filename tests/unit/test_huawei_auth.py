"""Push authentication: who is let in, who is not, and what the reason says (tests/fixtures/signatures/README.md)."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.cases import FOLDER

from receiver.providers.huawei_signature import SignatureError, SignedHead, verify
from receiver.simulate.dialects import huawei_signer

VECTORS = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in (FOLDER / "signatures" / "huawei").glob("*.json")
}
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HOST = "https://sms.example.com"
OF_THE_BODY = ("does not fit", "changed on the way", "x-sdk-content-sha256")
"""The beginnings of the reasons that take the body to find."""

CONTENT_TYPE = "application/x-www-form-urlencoded"
KEYS = {"an-access-key": "its secret", "another-access-key": "another secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest(SignedHead):
    """Head and body."""

    body: bytes = field(repr=False)


def reason(request: SignedRequest, keys: dict[str, str] = KEYS, now: datetime = NOW) -> str | None:
    try:
        verify(request, keys, now)(request.body)
    except SignatureError as error:
        return str(error)
    return None


def signed(
    path: str = "/callback/huawei/report", query: str = "", body: bytes = b"status=DELIVRD", **extra: str
) -> SignedRequest:
    """A push as the platform sends it, with the first key pair; `extra` are more headers, signed too."""
    url = f"{HOST}{path}?{query}" if query else HOST + path
    headers = {
        "Connection": "Keep-Alive",
        "Content-Length": str(len(body)),
        "Content-Type": CONTENT_TYPE,
        **{name.replace("_", "-"): value for name, value in extra.items()},
    }
    sent = huawei_signer.sign("POST", url, headers, body, access="an-access-key", secret="its secret", at=NOW)
    return SignedRequest(method="POST", raw_path=path, raw_query=query, headers=list(sent.items()), body=body)


def with_header(request: SignedRequest, name: str, change: Callable[[str], str]) -> SignedRequest:
    return replace(request, headers=[(n, change(v) if n == name else v) for n, v in request.headers])


def head_of(vector: dict[str, Any]) -> SignedHead:
    headers = [(name, value) for name, value in vector["headers"]]
    return SignedHead(method=vector["method"], raw_path=vector["path"], raw_query=vector["query"], headers=headers)


def test_a_head_that_nobody_can_have_signed_is_refused_without_its_body():
    refused = {name: vector for name, vector in VECTORS.items() if vector["error"]}
    by_the_head = {name for name, vector in refused.items() if not vector["error"].startswith(OF_THE_BODY)}
    assert {"access-unknown", "authorization-missing", "date-too-old", "scheme-basic"} <= by_the_head
    for name, vector in refused.items():
        with pytest.raises(SignatureError) if name in by_the_head else nullcontext():
            verify(head_of(vector), vector["keys"], datetime.fromisoformat(vector["now"]))


@pytest.mark.parametrize("name", ["published-guide-example", "single-report", "batch", "query-sorted-and-encoded"])
def test_signer_makes_the_signature_of_the_vector(name):
    vector = VECTORS[name]
    given_headers = dict(vector["headers"])
    authorization = given_headers.pop("Authorization")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    ((access, secret),) = vector["keys"].items()
    sent = huawei_signer.sign(
        vector["method"],
        f"https://{given_headers['Host']}{vector['path']}?{vector['query']}",
        {name: value for name, value in given_headers.items() if name.lower() in names and name != "x-sdk-date"},
        vector["body"].encode(),
        access=access,
        secret=secret,
        at=datetime.strptime(given_headers.get("X-Sdk-Date") or given_headers["x-sdk-date"], "%Y%m%dT%H%M%S%z"),
    )
    assert sent["Authorization"] == authorization


def test_push_headers_are_those_of_the_platforms_sample() -> None:
    body = b"status=DELIVRD"
    sent = huawei_signer.push_headers(
        "http://sms.example.com:80/callback/huawei/report", body, CONTENT_TYPE, access="a", secret="s", at=NOW
    )
    assert "SignedHeaders=connection;content-length;content-type;host;x-sdk-date," in sent["Authorization"]
    assert sent["Host"] == "sms.example.com"
    assert sent["X-Sdk-Date"] == "20261120T093000Z"
    request = SignedRequest(method="POST", raw_path="/callback/huawei/report", headers=list(sent.items()), body=body)
    assert reason(request, {"a": "s"}) is None


def test_signer_keeps_a_host_and_a_port_of_its_own_and_replaces_an_old_signature() -> None:
    stale = {"authorization": "old", "x-sdk-date": "20200101T000000Z", "host": "behind.example.com:8443"}
    sent = huawei_signer.sign("GET", f"{HOST}:9443/x", stale, b"", access="a", secret="s", at=NOW)
    assert sorted(name.lower() for name in sent) == ["authorization", "host", "x-sdk-date"]
    assert sent["host"] == "behind.example.com:8443"
    other = huawei_signer.sign("GET", f"{HOST}:9443/x", {}, b"", access="a", secret="s", at=NOW)
    assert other["Host"].endswith(":9443")


def test_no_reason_and_no_repr_gives_anything_away() -> None:
    """Reasons go to the log: no secret, no signature, no body, no path with its token, not even a wrong Access."""
    secrets = ("its secret", "an-access-key", "stranger", "13112345678", "t0ken", CONTENT_TYPE, "20261120T0930")
    push = signed(path="/callback/huawei/report/t0ken", body=b"from=13112345678")
    signature = dict(push.headers)["Authorization"].rpartition("=")[2]
    reasons = [
        reason(replace(push, body=b"x")),
        reason(push, {"stranger": "its secret"}),
        reason(push, {"an-access-key": "stranger"}),
        reason(push, now=NOW + timedelta(days=1)),
        reason(with_header(push, "Authorization", lambda _: "Bearer stranger")),
        reason(with_header(push, "Authorization", lambda text: text + "13112345678")),
        reason(with_header(push, "X-Sdk-Date", lambda _: "13112345678")),
        repr(push),
    ]
    for text in reasons:
        assert text
        shown = text.replace("20261120T093000Z", "")  # the example of a good date in a reason
        assert not [secret for secret in (*secrets, signature) if secret in shown]


def test_a_name_in_a_reason_is_short_and_plain() -> None:
    """SignedHeaders comes from outside: no line of the log may be forged or flooded with it."""
    push = with_header(signed(), "Authorization", lambda text: text.replace("host", "z" * 5000))
    assert reason(push) == f"the header {'z' * 32} is missing"
    forged = with_header(signed(), "Authorization", lambda text: text.replace("host", "host\n2026 all is well"))
    assert reason(forged) == "SignedHeaders is no list of header names"


unreserved = st.text("ABCXYZabcxyz0189-._~", min_size=1, max_size=8)
anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
segment = st.one_of(unreserved, anything.map(lambda text: quote(text, safe="!$'()*,;:@+")), st.just("%2e%2F"))
paths = st.lists(segment, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
parameter = st.tuples(segment, st.one_of(st.just(""), segment)).map("=".join)
queries = st.lists(st.one_of(parameter, segment), max_size=4).map("&".join)
values = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=20)
bodies = st.binary(max_size=200)


@given(path=paths, query=queries, body=bodies, trace=values)
def test_what_the_signer_signs_is_genuine(path: str, query: str, body: bytes, trace: str) -> None:
    """Two readings of the algorithm agree, whatever path, query, header and body are."""
    assert reason(signed(path, query, body, x_trace=trace)) is None


@given(path=paths, query=queries, body=bodies, trace=values, order=st.randoms(use_true_random=False))
def test_order_case_and_blanks_of_headers_do_not_matter(path, query, body, trace, order):
    push = signed(path, query, body, x_trace=trace)
    headers = [(order.choice((str.upper, str.lower, str.title))(n), f" {v}\t") for n, v in push.headers]
    order.shuffle(headers)
    parameters = query.split("&")
    order.shuffle(parameters)
    other_query = "&".join(parameters)
    assert reason(replace(push, raw_query=other_query, headers=[*headers, ("X-Unsigned", "any")])) is None


@given(body=bodies, other=bodies)
def test_another_body_is_refused(body, other):
    assume(body != other)
    assert reason(replace(signed(body=body), body=other)) is not None


@given(path=paths, other=paths)
def test_another_path_is_refused(path, other):
    assume(unquote(path).rstrip("/") != unquote(other).rstrip("/"))
    assert reason(replace(signed(path), raw_path=other)) is not None


def meaning(query: str) -> list[tuple[str, str]]:
    pieces = (piece.partition("=") for piece in query.split("&") if piece)
    return sorted((unquote(name), unquote(value)) for name, _, value in pieces)


@given(query=queries, other=queries)
def test_another_query_is_refused(query, other):
    assume(meaning(query) != meaning(other))
    assert reason(replace(signed(query=query), raw_query=other)) is not None


@given(seconds=st.integers(-(10**9), 10**9))
@example(900)
@example(900 + 1e-6)
@example(-900)
@example(-900 - 1e-6)
def test_the_date_decides_and_nothing_else(seconds: float) -> None:
    fits = abs(seconds) <= 900
    assert (reason(signed(), now=NOW + timedelta(seconds=seconds)) is None) == fits


wire_text = st.binary(max_size=60).map(lambda raw: raw.decode(errors="surrogateescape"))


@given(
    method=wire_text,
    path=wire_text,
    query=wire_text,
    headers=st.lists(st.tuples(st.sampled_from(["Authorization", "X-Sdk-Date", "Host"]), wire_text), max_size=4),
    tail=wire_text,
    body=bodies,
)
def test_whatever_a_stranger_sends_gets_a_reason_and_no_crash(method, path, query, headers, tail, body):
    """Every byte may stand on the wire: what is no UTF-8 arrives as surrogates, as aiohttp decodes it."""
    for extra in ([], [("Authorization", f"SDK-HMAC-SHA256 {tail}")]):
        request = SignedRequest(method=method, raw_path=path, raw_query=query, headers=[*headers, *extra], body=body)
        assert reason(request)
    garbled = signed()
    assert reason(replace(garbled, raw_path=path + "?", raw_query=query + "&x"))
