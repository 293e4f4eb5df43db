"""Reports, replies and overdue messages, listed for people."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.service import Service, running
from support.shared import shared_service
from support.submissions import hand_over, huawei
from support.visiting import visit

from receiver.store.maintenance import overdue

NUMBER = "+8615512345678"
MARKUP = "<script>alert(1)</script>\u202e"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
LISTS = ("/reports", "/replies", "/overdue", "/rejected")


def time_of(hours_ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours_ago):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        for name, code in (("m-1", "DELIVRD"), ("m-2", "MK:0001"), (MARKUP, "DELIVRD")):
            fields = {"smsMsgId": name, "status": code, "to": NUMBER, "updateTime": time_of(0.5)}
            assert (await service.post("/callback/huawei/report", urlencode(fields)))[0] == 200
        reply = {
            "mobile": "15512345678",
            "nationcode": "86",
            "text": f"STOP {MARKUP}",
            "sign": "Acme",
            "time": 1700000000,
        }
        assert (await service.post("/callback/tencent/reply", json.dumps(reply)))[0] == 200
        for name, hours_ago in (("young", 0.2), ("silent", 73.0), ("dead", 200.0)):
            await hand_over(service, "/submissions/huawei", huawei(name, createTime=time_of(hours_ago)))
        await overdue.refresh(service.sql, {"huawei": 72, "cloudsms": 25, "tencent": 72})
        yield service


async def test_reports_are_listed_with_what_each_says_and_how_late_it_came(service: Service) -> None:
    page = await visit(service, "/reports")
    assert page.status == 200
    assert {"m-1", "m-2"} <= page.links.keys()
    assert "30 min huawei" in page.text
    assert "+86155****5678" in page.text
    assert "15512345678" not in page.source
    found = await visit(service, "/reports?status=failed&number=155+1234+5678")
    assert "m-1" not in found.links
    assert NUMBER in (await visit(service, found.links["m-2"])).text


async def test_a_stranger_cannot_make_a_list_of_hundreds_of_megabytes(service: Service) -> None:
    """Each of a page's hundred rows may have been sent with a megabyte in a field that is shown."""
    long = "\u202e" * 50_000
    reply = {"mobile": "15512345678", "nationcode": "86", "text": long, "sign": long, "time": 1700000001}
    assert (await service.post("/callback/tencent/reply", json.dumps(reply)))[0] == 200
    fields = {
        "smsMsgId": "long",
        "status": "DELIVRD",
        "to": "+8615512345670",
        "statusDesc": "x" * 300_000,
        "extend": "x" * 99_000,
    }
    assert (await service.post("/callback/huawei/report", urlencode(fields)))[0] == 200
    assert (await service.post("/callback/tencent/reports", json.dumps([{}] * 20_000)))[0] == 400
    for path in ("/replies", "/messages/huawei/long", "/rejected"):
        assert len((await visit(service, path)).source) < 100_000, path
    assert "…" in (await visit(service, "/replies")).text
    for path in ("/replies.csv", "/rejected.csv", "/reports.csv?number=%2B8615512345670"):
        assert len((await visit(service, path)).source) < 100_000, path


async def test_replies_are_listed_with_their_text(service: Service) -> None:
    page = await visit(service, "/replies")
    assert r"STOP <script>alert(1)</script>\u202e" in page.text
    assert "<script>alert" not in page.source
    assert "15512345678" not in page.source
    assert NUMBER in (await visit(service, "/replies?number=155+1234+5678")).text
    assert "No reply came" in (await visit(service, "/replies?provider=huawei")).text


async def test_what_is_stuck_stands_on_one_page_by_platform_and_age(service: Service) -> None:
    page = await visit(service, "/overdue")
    assert "huawei 0 0 0 0 2 " in page.text
    assert {"silent", "dead"} <= page.links.keys()
    assert "young" not in page.links
    assert "reporting window is over" in page.text
    older = await visit(service, page.links["2"])
    assert {"silent", "dead"} <= older.links.keys()
    assert "No message of this period is overdue" in (await visit(service, "/overdue?country=SG")).text


@pytest.mark.parametrize("path", LISTS)
async def test_a_wrong_filter_is_told_at_its_field(service: Service, path: str) -> None:
    page = await visit(service, f"{path}?since=yesterday-ish&provider=huawei")
    assert (page.status, page.value("since")) == (400, "yesterday-ish")
    assert "is no time: write 24h, 7d" in page.text


async def test_a_filter_that_a_list_does_not_have_is_not_passed_over(service: Service) -> None:
    """The list would show more than its address says, and its file would be refused."""
    page = await visit(service, "/replies?country=CN")
    assert page.status == 400
    assert "country: replies cannot be chosen by this" in page.text


async def test_without_postgresql_each_page_says_so(make_settings, database: str) -> None:
    async with running(make_settings(read_database_url=NOWHERE), sql_url=database) as service:
        for path in (*LISTS, "/rejected/00000001-0000-0000-0000-000000000000"):
            page = await visit(service, path)
            assert page.status == 503, path
            assert "RECEIVER_READ_DATABASE_URL: 127.0.0.1:1 refused the connection" in page.text


QUERIES = st.dictionaries(
    st.sampled_from(["since", "until", "provider", "country", "status", "reason", "code", "sender", "number"])
    | st.sampled_from(["message_id", "error", "replayed", "older", "at"]),
    st.text(max_size=40)
    | st.sampled_from(["failed", "-", "30d", "20261122T000000000000.3", NUMBER, "\x00", "9" * 400]),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES, path=st.sampled_from(LISTS))
async def test_no_query_is_an_error_of_ours(service: Service, query: dict[str, str], path: str) -> None:
    asked = urlencode({name: text.encode(errors="surrogatepass") for name, text in query.items()})
    assert (await visit(service, f"{path}?{asked}")).status in (200, 400)
