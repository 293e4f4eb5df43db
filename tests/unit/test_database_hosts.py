"""The URL of a database with several hosts, in both of libpq's forms: each host's own, and what errors say of it."""

import urllib.parse

import pytest

from receiver.database_hosts import (
    Wanted,
    database,
    each,
    host_names,
    is_local,
    passwords,
    place,
    user,
    wanted,
    without_password,
)

ANY = "target_session_attrs=any"
LONG = "postgresql://keeper:p%40ss@a:5432,b:5433/sms?target_session_attrs=read-write&sslmode=require"
QUERY = "postgresql:///sms?host=a,b&port=5432,5433&user=keeper&password=p%40ss"

EACH = {
    "hosts with ports": (
        LONG,
        [
            f"postgresql://keeper:p%40ss@a:5432/sms?sslmode=require&{ANY}",
            f"postgresql://keeper:p%40ss@b:5433/sms?sslmode=require&{ANY}",
        ],
    ),
    "addresses of IPv6": (
        "postgresql://[::1]:5432,[2001:db8::7]/sms",
        [f"postgresql://[::1]:5432/sms?{ANY}", f"postgresql://[2001:db8::7]/sms?{ANY}"],
    ),
    "addresses of IPv6 in the query": (
        "postgresql:///sms?host=::1,2001:db8::7&port=5432",
        [
            f"postgresql:///sms?{ANY}&host=%5B%3A%3A1%5D&port=5432",
            f"postgresql:///sms?{ANY}&host=%5B2001%3Adb8%3A%3A7%5D&port=5432",
        ],
    ),
    "one address of IPv6 in the query": (
        "postgresql:///sms?host=2001:db8::7&port=5433",
        [f"postgresql:///sms?{ANY}&host=%5B2001%3Adb8%3A%3A7%5D&port=5433"],
    ),
    "hosts in the query": (
        QUERY,
        [
            f"postgresql:///sms?user=keeper&password=p%40ss&{ANY}&host=a&port=5432",
            f"postgresql:///sms?user=keeper&password=p%40ss&{ANY}&host=b&port=5433",
        ],
    ),
    "one port for all": (
        "postgresql://u@/sms?host=/run/one,/run/two&port=5433",
        [
            f"postgresql://u@/sms?{ANY}&host=%2Frun%2Fone&port=5433",
            f"postgresql://u@/sms?{ANY}&host=%2Frun%2Ftwo&port=5433",
        ],
    ),
    "one host": ("postgresql://u@a/sms?target_session_attrs=read-write",) * 2,
    "one socket": ("postgresql://u@/sms?host=/run/one&port=5433",) * 2,
    "ports for others, of which the driver complains": ("postgresql://u@/sms?host=a,b&port=1,2,3",) * 2,
}


@pytest.mark.parametrize("case", EACH)
def test_each_host_has_a_url_of_its_own(case: str) -> None:
    url, expected = EACH[case]
    assert each(url) == ([expected] if isinstance(expected, str) else expected)


@pytest.mark.parametrize("url", [LONG, QUERY])
def test_what_errors_and_logs_need_of_it(url: str) -> None:
    assert (user(url), database(url), place(url)) == ("keeper", "sms", "a:5432,b:5433")
    assert [place(one) for one in each(url)] == ["a:5432", "b:5433"]
    assert host_names(url) == ["a", "b"]
    assert passwords(url) == {"p%40ss", "p@ss"}


def test_an_address_of_ipv6_is_told_from_its_port() -> None:
    url = "postgresql:///sms?host=::1,2001:db8::7&port=5432"
    assert place(url) == "[::1]:5432,[2001:db8::7]:5432"
    assert host_names(url) == ["::1", "2001:db8::7"]


def test_a_socket_in_the_authority_is_no_name_to_be_looked_up() -> None:
    url = "postgresql://u@%2Frun%2Fone:5433,%2Frun%2Ftwo/sms"
    assert place(url) == "/run/one:5433,/run/two"
    assert host_names(url) == ["/run/one", "/run/two"]


def test_the_server_that_it_asks_for() -> None:
    assert wanted(LONG) is Wanted.READ_WRITE
    assert wanted(QUERY) is Wanted.ANY
    with pytest.raises(ValueError, match="any, primary, standby, prefer-standby, read-write, read-only"):
        wanted("postgresql://a,b/sms?target_session_attrs=leader")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://u@127.0.0.1:1,[::1]:2/sms", True),
        ("postgresql:///sms", True),
        ("postgresql:///sms?host=/run/one,localhost", True),
        ("postgresql://u@%2Frun%2Fone:5433,%2Frun%2Ftwo/sms", True),
        ("postgresql://127.0.0.1,db.example/sms", False),
    ],
)
def test_whether_all_of_it_is_this_machine(url: str, *, local: bool) -> None:
    assert is_local(url) is local


def test_brackets_may_stand_behind_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer versions of Python take a URL for that of one host, and refuse it."""

    def refuse(_bracketed: str) -> None:
        raise ValueError("Invalid IPv6 URL")

    monkeypatch.setattr(urllib.parse, "_check_bracketed_host", refuse, raising=False)
    url = "postgresql://keeper:p%40ss@first.example:5432,[2001:db8::7]:5433/sms?sslmode=require\n#none"
    assert place(url) == "first.example:5432,[2001:db8::7]:5433"
    assert each(url)[1] == f"postgresql://keeper:p%40ss@[2001:db8::7]:5433/sms?sslmode=require&{ANY}"
    assert (user(url), database(url), passwords(url)) == ("keeper", "sms", {"p%40ss", "p@ss"})
    assert without_password(url) == "postgresql://keeper@first.example:5432,[2001:db8::7]:5433/sms"
