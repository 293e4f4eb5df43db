"""What an adapter and a check of signatures see of a request, now and out of the spool."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request
from support.reports import callback

from receiver import providers
from receiver.ingest import accept
from receiver.providers.base import CheckBody, Parsed, Request, SignedHead
from receiver.report import ProviderName
from receiver.store.spool import Spool
from receiver.web.body import query
from receiver.web.signatures import Signatures

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KESTREL = ProviderName("kestrel")
URL = "/callback/kestrel/status/a-token-of-16-letters?b=2&a=%2B1"


@pytest.mark.parametrize(
    ("public_url", "wanted"),
    [(None, "http://10.0.0.7:8080"), ("https://sms.example.com/in", "https://sms.example.com/in")],
)
def test_a_signature_over_the_url_is_checked_with_the_url_that_the_platform_called(
    monkeypatch: pytest.MonkeyPatch, public_url: str | None, wanted: str
) -> None:
    heads: list[SignedHead] = []

    def verify(head: SignedHead, _keys: Mapping[str, str], _now: datetime) -> CheckBody:
        heads.append(head)
        return lambda _body: None

    monkeypatch.setitem(providers.VERIFIERS, KESTREL, verify)
    signatures = Signatures({KESTREL: {"key": "secret"}}, keep_unsigned=False, public_url=public_url)
    signatures.verify_head(make_mocked_request("POST", URL, headers={"Host": "10.0.0.7:8080"}), KESTREL, NOW)
    assert heads[0].public_url == wanted + URL
    (head,) = heads
    host = dict(head.headers)["Host"]
    assert f"{urlsplit(wanted).scheme}://{host}{head.raw_path}?{head.raw_query}" == head.public_url
    assert "token" not in repr(heads[0])


@pytest.mark.parametrize(
    ("raw", "kept"),
    [("/x", ""), ("/x?", ""), ("/x?order=17&order=%2B", "order=17&order=%2B"), ("/x?a=?b", "a=?b")],
)
def test_a_query_stays_as_it_was_on_the_wire(raw: str, kept: str) -> None:
    assert query(make_mocked_request("POST", raw)) == kept


def test_a_query_that_no_column_of_text_can_hold_is_percent_encoded() -> None:
    assert query(make_mocked_request("POST", "/x?a=\udcff\x00 \u00e9")) == "a=%FF%00%20%C3%A9"


async def test_an_adapter_sees_the_same_of_a_request_out_of_the_spool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Request] = []

    def parse(request: Request) -> Parsed:
        seen.append(request)
        return Parsed(faults=["seen"])

    monkeypatch.setitem(accept.INTAKES, "kestrel/status", parse)
    sent = callback()._replace(path="kestrel/status", query="order=17&x=?", content_type="text/plain")
    spool = Spool(tmp_path / "spool", 1 << 20)
    await spool.put(sent)
    ((_, again),) = await spool.oldest(1, 0)
    await spool.close()
    for one in (sent, again):
        await accept.parse_inbound(one)
    assert (
        seen[0]
        == seen[1]
        == Request(path="kestrel/status", body=sent.body, query="order=17&x=?", content_type="text/plain")
    )
    assert again == sent
    assert repr(seen[0]) == "Request(path='kestrel/status')"
