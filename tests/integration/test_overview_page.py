"""The overview: how it goes, with a link to each list, empty on the first day, and what is known without PostgreSQL."""

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import asyncpg
import jinja2
import pytest
from support import service as services
from support import week
from support.cluster import free_port
from support.service import Service
from support.waiting import eventually

from receiver.pages import figures
from receiver.pages.compiling import Compiled
from receiver.pages.figures import Figures
from receiver.reading.errors import ReadUnavailable
from receiver.reading.filters import Filters
from receiver.reading.reader import Reader
from receiver.settings import Settings

BROWSER = {"Accept": "text/html"}


async def page(service: Service, path: str = "/") -> str:
    async with service.client.get(service.ops_url + path, headers=BROWSER) as response:
        assert response.status == 200, await response.text()
        return await response.text()


def links(text: str) -> set[str]:
    return {unescape(link) for link in re.findall(r'href="([^"]*)"', text)}


async def fill(service: Service) -> None:
    connection = await asyncpg.connect(service.settings.database_url.get_secret_value())
    await week.fill(connection, datetime.now(UTC).replace(microsecond=0), an_hour=6)
    await connection.close()


async def test_the_first_visit_says_what_to_do_next(service: Service) -> None:
    text = await page(service)
    assert "Nothing has come in yet" in text
    assert f"curl {service.url}/callback/huawei/report -d" in unescape(text)
    assert "receiver simulate huawei" in text
    assert "Delivered" not in text


async def test_figures_lead_to_the_lists_behind_them_and_keep_the_period(service: Service) -> None:
    await fill(service)
    text = await page(service, "/?since=7d&provider=huawei")
    (messages,) = await service.rows(
        "SELECT sum(messages)::int AS n FROM sms.hourly "
        "WHERE provider = 'huawei' AND hour >= date_trunc('hour', now() - interval '7 days')"
    )
    figure = rf'<a href="/messages\?since=([^"&]+)&amp;provider=huawei">{messages["n"]:,}</a>'
    (since,) = set(re.findall(figure, text))
    assert unquote(since).endswith(":00Z"), "as it is counted, by whole hours"
    found = links(text)
    assert f"/messages?since={since}&provider=huawei&status=delivered" in found
    assert "/?since=24h&provider=huawei" in found
    assert "/?since=7d&provider=huawei&country=CN" in found
    bars = [parse_qs(link.partition("?")[2]) for link in found if link.startswith("/messages?")]
    assert [bar for bar in bars if bar.keys() == {"since", "until", "provider", "status"}]
    assert [link for link in found if re.fullmatch(r"/codes\?q=[^&]+&provider=huawei", link)]
    assert "against the week before" in text
    assert 'aria-label="Messages in 6 hours"' in text


@pytest.mark.parametrize("since", ["1h", "24h", "7d", "30d", "90d", "365d", "2026-11-01"])
async def test_any_period_up_to_a_year_is_shown(service: Service, since: str) -> None:
    await service.post("/callback/huawei/report", "smsMsgId=one&status=MK:0001")
    text = await page(service, f"/?since={since}")
    assert "MK:0001" in text
    assert "number unavailable" in text
    assert 'class="problem" role="alert"' not in text


async def test_what_cannot_be_asked_for_is_said_and_the_last_day_is_shown(service: Service) -> None:
    await service.post("/callback/huawei/report", "smsMsgId=one&status=DELIVRD")
    text = await page(service, "/?since=yesterday&country=<script>alert(1)</script>")
    assert "since: is no time" in text
    assert "country: is no country" in text
    assert "<script>alert" not in text
    assert "100.0 %" in text


async def test_without_postgresql_it_says_so_and_shows_what_is_known(
    make_settings: Callable[..., Settings], database: str
) -> None:
    nowhere = f"postgresql://sms@127.0.0.1:{free_port()}/sms"
    async with services.running(make_settings(database_url=nowhere), sql_url=database) as service:
        assert (await service.post("/callback/huawei/report", "smsMsgId=one&status=DELIVRD"))[0] == 200
        text = await page(service)
    assert "PostgreSQL does not take reports: they go to the spool" in text
    assert "1 waiting" in text
    assert "not known" in text
    assert "Callbacks answered" in text
    assert text.count("RECEIVER_DATABASE_URL") == 1
    assert "cannot be reached" in text or "Connect call failed" in text or "refused" in text
    assert "Nothing has come in yet" not in text


async def test_no_template_is_compiled_where_callbacks_wait_for_it(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def compiled(env: jinja2.Environment, *arguments: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return compile_(env, *arguments, **more)

    compile_ = jinja2.Environment.compile
    monkeypatch.setattr(jinja2.Environment, "compile", compiled)
    monkeypatch.setattr("receiver.pages.rendering._CODE", Compiled())
    async with services.running(make_settings()) as service:
        await asyncio.gather(page(service), page(service, "/settings"))
    assert threads
    assert threading.current_thread() not in threads


async def test_what_postgresql_does_not_answer_in_time_is_left_out() -> None:
    class Silent:
        async def fetch(self, *_: object, **__: object) -> None:
            await asyncio.Event().wait()

        fetchrow = fetchval = fetch

    places = asyncio.Semaphore(figures.AT_ONCE)
    found = await figures.figures(Silent(), Filters(), datetime.now(UTC), places, 0.05)
    assert found.problems == ["PostgreSQL has not told everything within 0.05 seconds"]
    assert not found.is_first_visit


async def test_a_strangers_code_is_a_text_and_nothing_else(service: Service) -> None:
    code = "<img src=x onerror=alert(1)>\u202e\x1b[2J\"&'"
    await service.post("/callback/huawei/report", urlencode({"smsMsgId": "one", "status": code}))
    await service.sql.execute("UPDATE sms_data.message_delta SET status = 'undeliverable', reason = 'blocked'")
    text = await page(service)
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    (link,) = re.findall(r'href="(/codes[^"]*)"[^>]*>&lt;img', text)
    assert "No platform" in await page(service, unescape(link))


async def test_ten_browsers_that_look_at_the_same_ask_postgresql_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Filters] = []

    async def counted(reader: Reader, filters: Filters, *more: Any) -> Figures:
        asked.append(filters)
        return await figures.figures(reader, filters, *more)

    monkeypatch.setattr("receiver.pages.overview.figures", counted)
    await asyncio.gather(*(page(service) for _ in range(10)))
    await page(service)
    assert len(asked) == 1
    await page(service, "/?provider=huawei")
    assert [filters.provider for filters in asked] == [None, "huawei"]


async def test_the_last_report_is_not_as_old_as_the_figures(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept for up to two minutes, and what this service has stored is known to the second."""

    async def old(*arguments: Any) -> Figures:
        found = await figures.figures(*arguments)
        return replace(found, at=found.at - timedelta(days=3), recent=replace(found.recent, value=None))

    monkeypatch.setattr("receiver.pages.overview.figures", old)
    await service.post("/callback/huawei/report", "smsMsgId=one&status=DELIVRD")
    (ago,) = re.findall(r"<dt>Last from huawei</dt>\s*<dd>(?:<a[^>]*>)?([^<]*) ago", await page(service))
    assert not ago.endswith(" d")


async def test_once_postgresql_is_back_nobody_is_told_that_it_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise ReadUnavailable("PostgreSQL went for a walk")

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "fetch", away)
        assert "went for a walk" in await page(service)

    async def is_back() -> bool:
        return "went for a walk" not in await page(service)

    await eventually(is_back)  # what was said is fresh for as long as it took
