"""Pages with a log-in: who gets in, what a form of theirs changes, and when it is over."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web
from support import service as services
from support.capture import captured_log
from support.service import Service
from support.shared import shared_service
from support.visitor import Visitor, visiting

from receiver.pages import routes
from receiver.pages.forms import csrf_field
from receiver.settings import Settings
from receiver.web.login_limit import LoginLimit

TOKEN = "an-ops.token-of-some-length"
COOKIE_RULES = ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"]


@pytest.fixture(scope="module")
async def service(cluster: str, template: str) -> AsyncIterator[Service]:
    async with shared_service(
        cluster, template, ops_token=TOKEN, ops_allowed_hosts="ops.example", trusted_proxies="127.0.0.2"
    ) as service:
        yield service


@pytest.fixture
async def visitor(service: Service) -> AsyncIterator[Visitor]:
    async with visiting(service.ops_url) as visitor:
        yield visitor


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the tests that are about it."""
    monkeypatch.setattr(LoginLimit, "wait_s", lambda *_: 0)


async def test_a_browser_logs_in_and_is_brought_to_the_page_that_it_asked_for(visitor: Visitor) -> None:
    sent = await visitor.get("/codes?q=E200027&provider=huawei")
    assert (sent.status, sent.cookies) == (303, [])
    shown = await visitor.get(sent.location)
    assert shown.status == 200
    assert 'type="password"' in shown.text
    inside = await visitor.log_in(TOKEN, sent.location)
    assert (inside.status, inside.location) == (303, "/codes?q=E200027&provider=huawei")
    page = await visitor.get(inside.location)
    assert page.status == 200
    assert "Log out" in page.text
    assert (await visitor.get("/login?next=/codes")).location == "/codes"


async def test_a_wrong_token_opens_nothing(visitor: Visitor) -> None:
    refused = await visitor.log_in(f"{TOKEN}x", "/login?next=/codes")
    assert refused.status == 403
    assert "not the token" in refused.text
    assert TOKEN not in refused.text
    assert 'name="next" value="/codes"' in refused.text
    assert (await visitor.get("/codes")).status == 303


async def test_programs_are_told_as_ever_and_a_session_is_no_bearer(visitor: Visitor) -> None:
    for path in ("/codes", "/metrics"):
        assert (await visitor.get(path, Accept="*/*")).status == 401
    await visitor.log_in(TOKEN)
    assert (await visitor.get("/metrics", Accept="*/*")).status == 200
    handed = await visitor.post("/submissions/huawei", {"csrf": (await visitor.get("/codes")).csrf})
    assert handed.status == 401


async def test_the_cookie_is_for_this_host_alone_and_for_no_script(service: Service) -> None:
    async with visiting(service.ops_url) as visitor:
        (cookie,) = (await visitor.log_in(TOKEN)).cookies
    port = service.ops_url.rpartition(":")[2]
    assert cookie.startswith(f"receiver-{port}=")
    assert sorted(part.strip() for part in cookie.split(";")[1:]) == COOKIE_RULES


async def test_a_forged_x_forwarded_proto_is_not_believed_and_a_trusted_one_is(
    make_settings: Callable[..., Settings],
) -> None:
    for trusted, name in (((), "receiver-form-"), ("127.0.0.1", "__Host-receiver-form-")):
        settings = make_settings(ops_token=TOKEN, trusted_proxies=trusted)
        async with services.running(settings) as service, visiting(service.ops_url) as visitor:
            (cookie,) = (await visitor.get("/login", X_Forwarded_Proto="https")).cookies
            assert cookie.startswith(name)
            assert ("Secure" in cookie) == bool(trusted)


async def test_no_cookie_but_the_signed_one_opens_the_pages(service: Service, visitor: Visitor) -> None:
    (cookie,) = (await visitor.log_in(TOKEN)).cookies
    (anonymous,) = (await _fresh_login_form(service)).cookies
    name, value = cookie.partition(";")[0].split("=", 1)
    other_name, other = anonymous.partition(";")[0].split("=", 1)
    assert name != other_name, "a log-in form that is opened by a link must not end the session"
    session, stamp, signature = value.split(".")
    wrong = [
        "",
        other,  # of a session that is not signed in
        value[:-1],
        value[1:],
        f"{value}x",
        f"s{other[1:]}",
        f"{session}.{stamp}.{other.rpartition('.')[2]}",
        f"{session}.{other.split('.')[1]}.{signature}x",
        f"{session}..{signature}",
        "s" * 8_000,
        "%00",
    ]
    for forged in wrong:
        async with visiting(service.ops_url) as thief:
            assert (await thief.get("/codes", Cookie=f"{name}={forged}")).status == 303, forged
    async with visiting(service.ops_url) as same:
        assert (await same.get("/codes", Cookie=f"{name}={value}")).status == 200


async def _fresh_login_form(service: Service):
    async with visiting(service.ops_url) as another:
        return await another.get("/login")


async def test_after_the_logout_a_copy_of_the_cookie_is_worth_nothing(service: Service, visitor: Visitor) -> None:
    (cookie,) = (await visitor.log_in(TOKEN)).cookies
    page = await visitor.get("/codes")
    out = await visitor.post("/logout", {"csrf": page.csrf})
    assert (out.status, out.location) == (303, "/login")
    assert (await visitor.get("/codes")).status == 303
    async with visiting(service.ops_url) as thief:
        assert (await thief.get("/codes", Cookie=cookie.partition(";")[0])).status == 303


async def test_a_stream_does_not_outlive_its_session(visitor: Visitor) -> None:
    await visitor.log_in(TOKEN)
    async with visitor.client.get(f"{visitor.url}/live/events") as stream:
        assert (await stream.content.readline()).startswith(b"retry")
        await visitor.post("/logout", {"csrf": (await visitor.get("/codes")).csrf})
        async with asyncio.timeout(5):  # less than the heartbeat
            with pytest.raises(aiohttp.ClientError):
                await stream.content.read()


async def test_nothing_changes_without_the_token_of_the_own_form(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route that is added later is guarded without its doing; so is one on a listener without a token."""
    done = []

    async def change(request: web.Request) -> web.Response:
        done.append(request.method)
        return web.Response(text="done")

    async def form(request: web.Request) -> web.Response:
        return web.Response(text=csrf_field(request))

    methods = ("POST", "PUT", "PATCH", "DELETE")
    added = (("GET", "/form", form), *((method, "/change", change) for method in methods))
    monkeypatch.setattr(routes, "ROUTES", (*routes.ROUTES, *added))
    for token in (TOKEN, None):
        settings = make_settings(**({"ops_token": token} if token else {}))
        async with (
            services.running(settings) as service,
            visiting(service.ops_url) as visitor,
            visiting(service.ops_url) as other,
        ):
            for one in (visitor, other):
                await one.log_in(TOKEN)
            csrf = (await visitor.get("/form")).csrf
            foreign = (await other.get("/form")).csrf
            assert csrf
            assert csrf != foreign
            for given in ({}, {"csrf": ""}, {"csrf": foreign}, {"csrf": csrf[:-1]}, {"csrf": "x" * 5_000}):
                for method in methods:
                    assert (await visitor.ask(method, "/change", {}, data=given)).status == 403
            for headers in ({"Origin": "http://news.example"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
                assert (await visitor.ask("POST", "/change", headers, data={"csrf": csrf})).status == 403
            for content_type in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
                typed = {"Content-Type": content_type}
                assert (await visitor.ask("POST", "/change", typed, data=f"csrf={csrf}".encode())).status == 415
            assert done == []
            with captured_log() as log:
                assert (await visitor.post("/change", {"csrf": csrf})).text == "done"
            told = [(line["path"], line["status"], line["remote"]) for line in log.events("ops.changed")]
            assert told == [("/change", 200, "127.0.0.1")]
            done.clear()


async def test_a_program_with_the_bearer_token_sends_no_form(service: Service) -> None:
    async with visiting(service.ops_url) as program:
        asked = await program.ask("POST", "/logout", {"Authorization": f"Bearer {TOKEN}"}, data={})
        assert asked.status == 403


async def test_a_form_of_an_ended_session_changes_nothing_and_says_so(visitor: Visitor) -> None:
    await visitor.log_in(TOKEN)
    csrf = (await visitor.get("/codes")).csrf
    visitor.client.cookie_jar.clear()
    refused = await visitor.post("/logout", {"csrf": csrf})
    assert refused.status == 401
    assert "nothing was changed" in refused.text
    assert 'href="/login"' in refused.text


async def test_pages_answer_to_their_own_names_alone(service: Service, visitor: Visitor) -> None:
    """A rebound name has no cookie, and is not to have one; programs may use any name."""
    port = service.ops_url.rpartition(":")[2]
    for host in ("rebound.example", f"rebound.example:{port}", "127.0.0.1.rebound.example"):
        for path in ("/codes", "/login", "/static/style.css"):
            refused = await visitor.get(path, Host=host)
            assert refused.status == 403
            assert "RECEIVER_OPS_ALLOWED_HOSTS" in refused.text
            assert refused.cookies == []
    assert (await visitor.get("/login", Host=f"ops.example:{port}")).status == 200
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert (await visitor.ask("GET", "/codes", bearer | {"Host": "rebound.example"})).status == 200


async def test_a_link_from_elsewhere_is_followed_and_nothing_else_from_there(visitor: Visitor) -> None:
    await visitor.log_in(TOKEN)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert (await visitor.ask("GET", "/codes", foreign)).status == 200
    for how in ({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, {"Sec-Fetch-Dest": "iframe"}):
        assert (await visitor.ask("GET", "/codes", foreign | how)).status == 403


async def test_wrong_tokens_are_limited_by_client_and_a_program_is_not_kept_out(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    settings = make_settings(ops_token=TOKEN, trusted_proxies="127.0.0.1")
    with captured_log() as log:
        async with services.running(settings) as service, visiting(service.ops_url) as visitor:
            for n in range(5):
                wrong = await visitor.log_in("wrong-token-number-1", X_Forwarded_For=f"2001:db8::{n}")
                assert wrong.status == 403
            limited = await visitor.log_in(TOKEN, X_Forwarded_For="2001:db8::99")
            assert limited.status == 429
            assert 0 < int(limited.headers["Retry-After"]) <= 60
            bearer = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "2001:db8::99"}
            assert (await visitor.ask("GET", "/metrics", bearer)).status == 200
            assert (await visitor.log_in(TOKEN, X_Forwarded_For="2001:db8:0:1::1")).status == 303
    told = [(line["event"], line["remote"]) for line in log.lines if line["event"].startswith("ops.log")]
    assert told[-2:] == [("ops.login_limited", "2001:db8::99"), ("ops.logged_in", "2001:db8:0:1::1")]
    assert ("ops.login_failed", "2001:db8::") in told
    assert TOKEN not in log.text
    assert "wrong-token" not in log.text
