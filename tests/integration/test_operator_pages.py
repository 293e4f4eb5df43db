"""The pages for the operator: codes, callback URLs, the spool and the settings in force, over HTTP."""

import asyncio
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest
import trustme
from support import service as services
from support.certificates import authority_file, issue
from support.dialects import ENDPOINT_PATHS, good_body
from support.service import Service
from support.visitor import Page, Visitor, visiting
from support.waiting import eventually

from receiver import catalogue
from receiver import service as lifecycle
from receiver.providers import PROVIDERS
from receiver.settings import Settings

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def page(service: Service, path: str, status: int = 200) -> str:
    """The page as a browser gets it."""
    async with service.client.get(service.ops_url + path, headers=BROWSER) as response:
        assert response.status == status, await response.text()
        assert response.content_type == "text/html"
        return await response.text()


async def test_codes_are_found_by_code_and_by_words_and_come_as_csv(service: Service) -> None:
    assert "MK:0001" in (await page(service, "/codes?q=MK:0001&provider=tencent")).split("<tbody>")[1]
    assert "stored as" in await page(service, "/codes?q=NO-SUCH-CODE-9")
    assert "<b>" not in await page(service, "/codes?q=<b>bold</b>")
    async with service.client.get(f"{service.ops_url}/codes.csv?q=&provider=huawei") as response:
        assert response.content_type == "text/csv"
        rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [row["code"] for row in rows] == [row.code for row in catalogue.entries() if row.provider == "huawei"]


async def test_every_callback_url_stands_on_its_page_and_says_where_it_is_registered(service: Service) -> None:
    text = await page(service, "/callbacks")
    for path in ENDPOINT_PATHS:
        assert f'data-copy="{service.url}/callback/{path}"' in text
    for provider in PROVIDERS:
        assert provider.registrations.keys() == {endpoint.path for endpoint in provider.endpoints}, provider.name
    assert "only this machine can connect" in text


async def test_tokens_and_public_url_are_in_the_urls_but_no_token_is_told(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(
        host="0.0.0.0",
        callback_tokens="first-token-of-the-callbacks,second-token-of-the-callbacks",
        public_url="https://sms.example.com/in",
    )
    async with services.running(settings) as service:
        text = await page(service, "/callbacks")
        settings_page = await page(service, "/settings")
    assert "https://sms.example.com/in/callback/huawei/report/&lt;token&gt;" in text
    assert "a token at the end of the URL (2 are valid)" in text
    assert "2 set" in settings_page
    assert "token-of-the-callbacks" not in text + settings_page


async def test_a_test_send_goes_through_the_callback_url_and_is_a_message_then(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.pages.sending._PAUSE_S", 0.0)
    settings = make_settings(
        callback_tokens="token-of-the-callbacks",
        push_keys="huawei:access-key:secret-of-the-signatures",
        public_url="https://sms.example.com/in",
    )
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        assert "stores one message" in (await browser.get("/callbacks")).text
        for provider in PROVIDERS:
            sent = await send_test(browser, provider.name)
            assert sent.status == 200
            assert "Sent and taken" in sent.text
            (link,) = re.findall(rf'href="/messages/{provider.name}/(test-[^"]+)"', sent.text)
            (message,) = await service.rows("SELECT status FROM sms.message WHERE message_id = $1", unquote(link))
            assert message["status"] == "delivered"
            assert "token-of-the-callbacks" not in sent.text
            assert "SDK-HMAC" not in sent.text


async def send_test(browser: Visitor, provider: str) -> Page:
    form = await browser.get("/callbacks")
    return await browser.post("/callbacks/test", {"csrf": form.csrf, "provider": provider})


async def test_a_test_send_says_why_it_was_refused_and_goes_nowhere_else(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(allowed_addresses="tencent=203.0.113.0/24")
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        refused = await send_test(browser, "tencent")
        assert "answered 403" in refused.text
        assert "only the platform" in refused.text
        assert (await send_test(browser, "tencent")).status == 429, "not so soon"
        for strange in ("", "nobody", "http://192.0.2.1/"):
            assert (await send_test(browser, strange)).status == 404
        form = await browser.get("/callbacks")
        assert (await browser.post("/callbacks/test", {"provider": "huawei"})).status == 403, "without the form's token"
        assert (await browser.post("/callbacks/tokens", {"csrf": form.csrf})).status == 403, "nobody has logged in"
        assert await service.rows("SELECT 1 FROM sms.message") == []


async def test_a_test_send_speaks_tls_where_the_callback_listener_does(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    authority = trustme.CA()
    pair = issue(authority, tmp_path, "server")
    settings = make_settings(
        tls_certificate=str(pair.certificate),
        tls_key=str(pair.key),
        tls_client_ca=f"cloudsms={authority_file(authority, tmp_path, 'cloudsms')}",
    )
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        assert "https://" in (await browser.get("/callbacks")).text
        assert "Sent and taken" in (await send_test(browser, "huawei")).text
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        refused = await send_test(browser, "cloudsms")
        assert "Sent and taken" not in refused.text
        assert "a client certificate" in refused.text


async def test_a_service_that_only_pulls_has_no_urls(make_settings: Callable[..., Settings]) -> None:
    serving = lifecycle.running(make_settings(), asyncio.Event(), listen=False)
    async with serving as running, visiting(running.ops.url) as browser:
        assert "This service only pulls" in (await browser.get("/callbacks")).text
        first = (await browser.get("/")).text
        assert "asks the platforms" in first
        assert "curl" not in first
        assert (await send_test(browser, "huawei")).status == 403, "there is no form"


async def test_tokens_are_shown_to_who_has_logged_in_and_asks(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(callback_tokens="token-of-the-callbacks", ops_token="token-of-the-operator")
    async with services.running(settings) as service, visiting(service.ops_url) as browser:
        assert (await browser.get("/callbacks")).status == 303
        await browser.log_in("token-of-the-operator")
        form = await browser.get("/callbacks")
        assert "token-of-the-callbacks" not in form.text
        shown = await browser.post("/callbacks/tokens", {"csrf": form.csrf})
        assert f'data-copy="{service.url}/callback/huawei/report/token-of-the-callbacks"' in shown.text
        assert shown.headers["Cache-Control"] == "no-store"


async def test_settings_tell_what_was_set_and_no_secret(service: Service) -> None:
    text = await page(service, "/settings")
    given, defaults = text.split(">Left at their defaults<")
    assert "RECEIVER_DATABASE_URL" in given
    assert "RECEIVER_LOG_LEVEL" in defaults
    assert [one for one in Settings.model_fields if f"RECEIVER_{one.upper()}<" not in text] == []


async def test_a_browser_gets_the_spool_as_a_page_and_a_program_as_json(service: Service) -> None:
    assert "the spool is empty" in await page(service, "/spool")
    async with service.client.get(f"{service.ops_url}/spool") as response:
        assert await response.json() == {"callbacks": 0, "oldest": None, "file_bytes": pytest.approx(12_288, abs=1e6)}


async def test_with_postgresql_away_the_spool_says_how_much_waits_and_what_to_do(
    service: Service, database: str
) -> None:
    await service.sql.execute("ALTER TABLE sms_data.message RENAME TO elsewhere")
    path = "huawei/report"
    for number in range(3):
        status, _ = await service.post(f"/callback/{path}", good_body(path, f"spooled-{number}"))
        assert status == 200
    text = await page(service, "/spool")
    assert "<dd>3</dd>" in text.replace("\n", "")
    assert "PostgreSQL does not take reports: mend it." in text
    connection = await asyncpg.connect(database)
    await connection.execute("ALTER TABLE sms_data.elsewhere RENAME TO message")
    await connection.close()

    async def is_empty() -> bool:
        return "the spool is empty" in await page(service, "/spool")

    await eventually(is_empty)
