"""Somebody with a number, an id or an order number looks for what became of a message."""

import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cases import case
from support.databases import connected
from support.service import Service, running
from support.shared import shared_service
from support.submissions import hand_over, huawei
from support.visiting import visit

from receiver.store.maintenance import overdue

NUMBER = "+8615512345678"
MARKUP = "<script>alert(1)</script>\x1b[31m\u202e"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def time_of(hours_ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours_ago):%Y-%m-%dT%H:%M:%SZ}"


async def report(service: Service, message_id: str, code: str, hours_ago: float = 0.0, **more: str) -> None:
    fields = {"smsMsgId": message_id, "status": code, "updateTime": time_of(hours_ago), "to": NUMBER} | more
    assert (await service.post("/callback/huawei/report", urlencode(fields)))[0] == 200


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(cluster, template) as service:
        for number, code in ((1, "ACCEPTD"), (1, "DELIVRD"), (2, "UNDELIV")):
            await report(service, "long/1", code, 0.5, sequence=str(number), total="3", extend="order-17")
        await report(service, MARKUP, MARKUP, to="+8615512345679", orgCode=MARKUP)
        for name, hours_ago in (("long/1", 1.0), ("late", 80.0)):
            await hand_over(
                service, "/submissions/huawei", huawei(name, createTime=time_of(hours_ago)), correlation="17"
            )
        await overdue.refresh(service.sql, {"huawei": 72, "cloudsms": 25, "tencent": 72})
        yield service


@pytest.mark.parametrize("written", ["+8615512345678", "155 1234 5678", "0086-155-1234-5678", "86 15512345678"])
async def test_a_number_is_found_however_it_is_written_and_shown_in_full(service: Service, written: str) -> None:
    page = await visit(service, f"/messages?q={quote(written)}")
    assert page.status == 200
    assert NUMBER in page.text
    assert {"long/1", "late"} <= page.links.keys()
    message = await visit(service, page.links["long/1"])
    assert message.text.count(NUMBER) > 1, "in its fields as well"


async def test_an_id_leads_to_its_message_whose_number_nobody_gave_away(service: Service) -> None:
    page = await visit(service, "/messages?q=long%2F1")
    assert page.path == "/messages/huawei/long%2F1"
    assert "+86155****5678" in page.text
    assert "15512345678" not in page.source
    assert "The network could not hand the message to the handset" in page.text
    assert "Segment Status Code" in page.text.replace("Reason ", "")
    assert "3 no report yet" in page.text
    assert page.text.index("Submitted enroute") < page.text.index("Report of segment 1 of 3")
    assert "from 127.0.0.1" in page.text
    assert "Arrived 30 min later" in page.text


async def test_a_correlation_leads_to_the_messages_of_its_request(service: Service) -> None:
    page = await visit(service, "/messages?q=17")
    assert page.path == "/messages?correlation=17"
    assert {"long/1", "late"} <= page.links.keys()
    assert "15512345678" not in page.source


async def test_a_message_whose_end_was_not_told_says_so_and_what_to_do(service: Service) -> None:
    page = await visit(service, "/messages/huawei/late")
    assert "Overdue for 8 h: huawei reports within 72 h, and no report will come" in page.text


async def test_nothing_that_a_stranger_sends_is_markup_or_obeyed(service: Service) -> None:
    for path in ("/messages", f"/messages/huawei/{quote(MARKUP, safe='')}", f"/messages?q={quote(MARKUP)}"):
        page = await visit(service, path)
        assert page.status == 200, path
        assert "<script>alert" not in page.source
        assert "\x1b" not in page.source
        assert "\u202e" not in page.text, path
        assert r"<script>alert(1)</script>\x1b[31m\u202e" in page.text or "q=" in path


async def test_a_stranger_cannot_make_a_page_of_hundreds_of_megabytes(service: Service) -> None:
    """Each of the five hundred reports about a message may bring a megabyte in a field that nobody knows."""
    for number in range(3):
        await report(service, "large", "ACCEPTD", number, padding="x" * 200_000)
    page = await visit(service, "/messages/huawei/large")
    assert page.text.count("(left out)") == 3
    assert len(page.source) < 50_000


async def test_nor_by_many_reports_each_of_which_may_be_shown(service: Service) -> None:
    for number in range(60):
        await report(service, "wide", "ACCEPTD", number, one="x" * 3_900, two="x" * 3_900, three="x" * 3_900)
    page = await visit(service, "/messages/huawei/wide")
    assert page.text.count("Report accepted") == 60
    assert page.text.count("(left out)") > 10
    assert len(page.source) < 700_000


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_platforms_clock_may_say_anything(service: Service, told: str) -> None:
    await hand_over(service, "/submissions/huawei", huawei(told, createTime=told))
    await report(service, told, "ACCEPTD", updateTime=told)
    page = await visit(service, f"/messages/huawei/{quote(told, safe='')}")
    assert (page.status, "Report accepted" in page.text) == (200, True)


async def test_a_long_history_is_told_beside_the_event_loop(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand reports take a second, in which callbacks are answered."""
    threads = []

    def noted(*arguments: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return render(*arguments, **more)

    render = aiohttp_jinja2.render_template
    monkeypatch.setattr(aiohttp_jinja2, "render_template", noted)
    assert (await visit(service, "/messages/huawei/long%2F1")).status == 200
    assert len(threads) == 1
    assert threading.main_thread() not in threads


async def test_an_id_of_several_recipients_asks_for_one(service: Service) -> None:
    several = case("cloudsms/customer-body-for-every-recipient")
    assert (await service.post(several.path, several.body))[0] == 200
    found = await visit(service, "/messages?q=5A3B394096E50X49D1FA163E81BFFF")
    assert "to messages to 2 recipients. Of which one?" in found.text
    one = await visit(service, found.links["+8526****568"])
    assert "+8526****568" in one.text
    assert "DELIVERED" in one.text
    assert (one.text.count("Report delivered"), "61234568" in one.source) == (1, False)
    by_number = await visit(service, "/messages?q=%2B85261234567")
    assert "+85261234567" in (await visit(service, by_number.links["5A3B394096E50X49D1FA163E81BFFF"])).text


async def test_a_recipient_of_a_large_batch_is_found_by_the_number(service: Service) -> None:
    """The first hundred by number were looked through for the one that was asked for."""
    packet = json.loads(case("cloudsms/customer-body-for-every-recipient").body)
    results = [packet["SMS_RESULT_LIST"][0] | {"DEST_MSISDN": str(61234000 + number)} for number in range(120)]
    for first in range(0, 120, 40):
        body = json.dumps(packet | {"SMS_RESULT_LIST": results[first : first + 40]})
        assert (await service.post("/callback/cloudsms/report", body))[0] == 200
    found = await visit(service, "/messages?q=%2B85261234119")
    assert "+85261234119" in (await visit(service, found.links[packet["SMS_UID"]])).text


async def test_a_wrong_filter_is_told_at_its_field_and_the_form_stays(service: Service) -> None:
    page = await visit(service, "/messages?since=yesterday-ish&country=CN&status=delivered&older=x")
    assert page.status == 400
    assert (page.value("since"), page.value("country")) == ("yesterday-ish", "CN")
    assert "is no time: write 24h, 7d" in page.text
    assert "older: is no place in this list" in page.text
    assert (await visit(service, "/messages?number=12ab")).status == 400


async def test_what_is_not_there_is_said_with_what_to_do(service: Service) -> None:
    assert "choose a longer period" in (await visit(service, "/messages?q=%2B8615500000000")).text
    assert "choose a longer period" in (await visit(service, "/messages?code=nothing")).text
    page = await visit(service, "/messages/tencent/nothing")
    assert page.status == 404
    assert "no message with this id" in page.text


async def test_the_older_ones_are_a_link_away_and_none_is_left_out_or_shown_twice(service: Service) -> None:
    for number in range(230):
        await report(service, f"many-{number:03}", "DELIVRD", to="+6581234567")
    page, seen = await visit(service, "/messages?number=%2B65%208123%204567"), []
    while True:
        seen += [words for words in page.links if words.startswith("many-")]
        if "Older" not in page.links:
            break
        page = await visit(service, page.links["Older"])
    assert seen == [f"many-{number:03}" for number in reversed(range(230))]


QUERIES = st.dictionaries(
    st.sampled_from(["q", "since", "until", "provider", "country", "status", "reason", "code", "sender", "number"])
    | st.sampled_from(["message_id", "correlation", "older", "of", "at", "limit"]),
    st.text(max_size=40)
    | st.sampled_from(["failed", "-", "30d", "20261122T000000000000.3", NUMBER, "\x00", "9" * 400]),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES)
async def test_no_query_is_an_error_of_ours(service: Service, query: dict[str, str]) -> None:
    asked = urlencode({name: text.encode(errors="surrogatepass") for name, text in query.items()})
    for path in ("/messages", "/messages/huawei/long%2F1"):
        page = await visit(service, f"{path}?{asked}")
        assert page.status in (200, 400), page.path


async def test_without_postgresql_the_page_says_so_and_keeps_the_form(make_settings, database: str) -> None:
    async with running(make_settings(read_database_url=NOWHERE), sql_url=database) as service:
        for path in ("/messages?country=CN", "/messages?q=17&country=CN", "/messages/huawei/m-1"):
            page = await visit(service, path)
            assert page.status == 503
            assert "RECEIVER_READ_DATABASE_URL: 127.0.0.1:1 refused the connection" in page.text
        assert (await visit(service, "/messages?q=17&country=CN")).value("q") == "17"


@pytest.mark.parametrize(
    "segment",
    ["%00", "a%00b", "%ED%A0%80", "%FF", "%2E%2E", "..%2F..%2Fetc", "%0D%0ASet-Cookie:x", "x" * 4_000, "%F0%9F%98%80"],
)
async def test_no_path_is_an_error_of_ours(service: Service, segment: str) -> None:
    for path in (f"/messages/huawei/{segment}", f"/messages/{segment}/m-1", f"/rejected/{segment}"):
        page = await visit(service, path)
        assert page.status == 404, path


async def test_what_takes_too_long_says_to_ask_for_less(service: Service) -> None:
    async with connected(service.settings.database_url.get_secret_value()) as other, other.transaction():
        await other.execute("LOCK TABLE sms_data.message IN ACCESS EXCLUSIVE MODE")
        page = await visit(service, "/messages?country=CN")
    assert (page.status, page.value("country")) == (503, "CN")
    assert "ask for a shorter period, or for less" in page.text
