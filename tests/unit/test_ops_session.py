"""Sessions, the limit of the log-in, and where it leads, without a listener."""

import re
from urllib.parse import urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from receiver.web.local_path import local_path
from receiver.web.login_limit import LoginLimit
from receiver.web.ops_session import SESSION_S, Sessions

TOKEN = b"an-ops.token-of-some-length"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_expires_and_is_not_prolonged_by_use() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    session = sessions.begin(signed_in=True)
    for _ in range(2):
        clock.now += SESSION_S / 2
        assert sessions.read(session.cookie) == session
    clock.now += 1
    assert sessions.read(session.cookie) is None
    clock.now -= SESSION_S + 2
    assert sessions.read(session.cookie) is None, "it is from the future"


def test_another_token_ends_all_sessions_and_another_process_does_not() -> None:
    session = Sessions(TOKEN).begin(signed_in=True)
    assert Sessions(TOKEN).read(session.cookie) == session
    assert Sessions(TOKEN + b"x").read(session.cookie) is None
    assert Sessions(None).read(session.cookie) is None
    assert Sessions(None).read(Sessions(None).begin(signed_in=True).cookie) is None


def test_a_form_is_of_one_session_and_of_one_key() -> None:
    sessions = Sessions(TOKEN)
    one, other = sessions.begin(signed_in=True), sessions.begin(signed_in=True)
    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(one, sessions.form_token(other))
    assert not sessions.is_form_token(one, Sessions(None).form_token(one))
    assert sessions.form_token(one) not in one.cookie


async def test_sessions_that_were_ended_are_remembered_as_long_as_they_would_have_lasted() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    ended = sessions.begin(signed_in=True)
    sessions.end(ended)
    assert sessions.read(ended.cookie) is None
    for _ in range(5_000):
        sessions.end(sessions.begin(signed_in=True))
    assert len(sessions._ended) <= 4_096
    clock.now += SESSION_S + 1
    sessions.end(sessions.begin(signed_in=True))
    assert len(sessions._ended) == 1


_SESSIONS = Sessions(TOKEN)
_SESSION = _SESSIONS.begin(signed_in=False)
_COOKIE = _SESSION.cookie
_ALPHABET = st.sampled_from("abszAZ019-_.=% \x00é")


@given(st.integers(0, len(_COOKIE)), st.integers(0, 4), st.text(_ALPHABET, max_size=4))
def test_no_change_of_a_cookie_makes_another_session(at: int, cut: int, instead: str) -> None:
    changed = _COOKIE[:at] + instead + _COOKIE[at + cut :]
    assert (_SESSIONS.read(changed) or _SESSION)[:3] == _SESSION[:3]


@given(st.text(max_size=300))
def test_no_text_passes_for_a_cookie(text: str) -> None:
    assert _SESSIONS.read(text) is None


_ODD = st.text(st.sampled_from("/\\.@:?#%2fFeE5cC09aht\t\n\r \x00é\u3000\uff3c\u3002<>\"'[]"), max_size=30)
_AIMED = st.builds(str.__add__, st.sampled_from(["/", "//", "/\\", "/.", "/%2f", "/%5c", "/./", "http:", "/\t/"]), _ODD)


@given(_ODD | _AIMED | st.text(max_size=60))
def test_no_text_leads_to_another_host_or_out_of_a_header(text: str) -> None:
    """As a browser resolves it (WHATWG: tabs and line ends fall away, a backslash is a slash), and as a proxy does."""
    path = local_path(text)
    browsers = re.sub(r"[\t\r\n]", "", path).replace("\\", "/")
    here = "http://ops.example:8081/login"
    for said in (path, browsers, str(URL(path)), str(URL(here).join(URL(path)))):
        assert urlsplit(urljoin(here, said)).netloc == "ops.example:8081"
        assert not said.startswith("//")
    assert path.isprintable()
    assert path.isascii()
    assert path in {text, "/"}


def test_the_pages_of_the_product_are_led_to() -> None:
    for path in ("/", "/codes?q=E200027&provider=huawei", "/messages/huawei/a%2Fb", "/messages?to=%2B86138", "/a/"):
        assert local_path(path) == path
    for path in ("/login", "/login?next=/login", "/logout", "/%6cogin", "", "codes", f"/{'x' * 2_000}"):
        assert local_path(path) == "/"


def test_a_minute_after_the_failures_another_try_is_free() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for n in range(5):
        assert limit.wait_s("192.0.2.1") == 0
        limit.failed("192.0.2.1")
        clock.now += n
    assert limit.wait_s("192.0.2.1") == 50
    assert limit.wait_s("192.0.2.2") == 0
    clock.now += 50
    assert limit.wait_s("192.0.2.1") == 0


def test_many_clients_have_one_limit_together_and_its_memory_is_bounded() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for n in range(1_000):
        address = f"2001:db8:0:{n:x}::1"
        if limit.wait_s(address) == 0:
            limit.failed(address)
    assert len(limit._failures) == 60
    assert limit.wait_s("192.0.2.1") == 60
    clock.now += 60
    assert limit.wait_s("192.0.2.1") == 0
