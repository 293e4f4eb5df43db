"""Addresses and networks, and whose request it is: of the headers only what trusted proxies appended counts."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.addresses import Networks, client_key, parse_network, socket_address, url_of
from receiver.server.forwarded import MAX_HOPS, client_address

TRUSTED = Networks.of(["10.0.0.0/8", "2001:db8:aaaa::/48"])
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("192.0.2.1", "http://192.0.2.1:8081"),
        ("receiver.example", "http://receiver.example:8081"),
        ("2001:db8::7", "http://[2001:db8::7]:8081"),
        ("::", "http://[::1]:8081"),
        ("0.0.0.0", "http://127.0.0.1:8081"),
    ],
)
def test_a_url_has_an_ipv6_address_in_brackets(host, url):
    assert url_of(host, 8081) == url


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("198.51.100.7", 4711), "198.51.100.7"),
        (("2001:db8::7", 4711, 0, 0), "2001:db8::7"),
        (("::ffff:198.51.100.7", 4711, 0, 0), "198.51.100.7"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::1"),
        ("/run/receiver.sock", None),
        ("", None),
        (None, None),
        ((), None),
    ],
)
def test_a_sockets_peer_has_the_address_that_people_would_write(peer, address):
    assert socket_address(peer) == address


def test_a_network_holds_what_it_says_however_the_address_is_written():
    networks = Networks.of(["198.51.100.0/24", "2001:db8::/32", "203.0.113.9", "::ffff:192.0.2.0/120"])
    inside = ("198.51.100.7", "::ffff:198.51.100.7", "2001:DB8:0:1::5", "203.0.113.9", "192.0.2.44")
    assert all(networks.has(address) for address in inside)
    outside = ("198.51.101.7", "2001:db9::1", "203.0.113.8", "::192.0.2.44", "garbage", "", None)
    assert not any(networks.has(address) for address in outside)
    assert not Networks()
    assert not Networks().has("198.51.100.7")


@pytest.mark.parametrize("text", ["198.51.100.7/24", "198.51.100.0/33", "everybody", "", "198.51.100.0/", "10.0.0.0-9"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_network(text)


def test_a_site_of_ipv6_counts_as_one_client():
    assert client_key("2001:db8:0:1::5") == client_key("2001:db8:0:1:ffff::5") != client_key("2001:db8:0:2::5")
    assert client_key("198.51.100.7") == "198.51.100.7"


def by_list(*lines: str, peer: str | None = PROXY, trusted: Networks = TRUSTED) -> str | None:
    """By `X-Forwarded-For`."""
    return client_address(peer, trusted, lines)


def by_elements(*lines: str, peer: str | None = PROXY) -> str | None:
    """By `Forwarded`."""
    return client_address(peer, TRUSTED, (), lines)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["1.1.1.1,198.51.100.7 ,10.2.3.4"], "198.51.100.7"),
        (["1.1.1.1", "198.51.100.7", "10.2.3.4"], "198.51.100.7"),
        (["1.1.1.1, 198.51.100.7", "10.2.3.4, 10.2.3.5"], "198.51.100.7"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["2001:0DB8:0::0007"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["198.51.100.7, 2001:db8:aaaa::1"], "198.51.100.7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, [::ffff:10.9.9.9]:1"], "198.51.100.7"),
        (["10.2.3.4"], "10.2.3.4"),
        (["10.2.3.5, 10.2.3.4"], "10.2.3.5"),
        ([", ".join(["198.51.100.7", *["10.2.3.4"] * MAX_HOPS])], "10.2.3.4"),
    ],
)
def test_the_list_is_walked_from_the_right_over_trusted_hops_and_not_without_end(lines, client):
    assert by_list(*lines) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["For=198.51.100.7;proto=https;by=10.0.0.1"], "198.51.100.7"),
        (['for="198.51.100.7:4711"'], "198.51.100.7"),
        (['for="[2001:db8::7]"'], "2001:db8::7"),
        (['for="[2001:db8::7]:4711"; proto=https'], "2001:db8::7"),
        (["for=1.1.1.1, for=198.51.100.7, for=10.2.3.4"], "198.51.100.7"),
        (["for=1.1.1.1", "for=198.51.100.7", "for=10.2.3.4"], "198.51.100.7"),
        (['by="a, for=2.2.2.2";for=198.51.100.7'], "198.51.100.7"),
        (['for="198.51\\.100.7"'], "198.51.100.7"),
    ],
)
def test_forwarded_is_read_by_its_grammar(lines, client):
    assert by_elements(*lines) == client


MALFORMED = [
    *(
        "",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:123456",
        "[::1",
        "::1]",
        "127.1",
    ),
    *(
        "fe80::1%eth0",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4;x",
        "\u0663.1.1.1",
        "0x7f.1",
        "[1.2.3.4",
        "\x7f",
        "-",
        "/",
        "[[::1]]",
    ),
    *("1.2.3.4/32", "1.2.3.4_5.6.7.8", "256.1.1.1", "::ffff:1.2.3", "1.2.3.4.5", "http://1.2.3.4"),
]


@pytest.mark.parametrize("node", MALFORMED)
def test_what_cannot_be_read_ends_the_walk_at_the_last_that_could(node):
    assert by_list(f"198.51.100.7, {node}") == PROXY
    assert by_list(f"198.51.100.7, {node}, 10.2.3.4") == "10.2.3.4"
    assert by_list(f"{node}, 198.51.100.7") == "198.51.100.7"
    assert by_elements(f'for=198.51.100.7, for="{node}", for=10.2.3.4') in {"10.2.3.4", PROXY}


BROKEN = [
    *("", ",", "for", "for=", "for =1.1.1.1", "for= 1.1.1.1", "for:1.1.1.1", "=1.1.1.1", "for=::1", "for=[::1]"),
    *("for=1.1.1.1 x", "for=1.1.1.1;", ";for=1.1.1.1", "for=1.1.1.1;for=2.2.2.2", "by=1.1.1.1", "for=1.1.1.1\\"),
    *(
        "for=1.1.1.1,,for=2.2.2.2",
        'for="1.1.1.1',
        'for=1.1.1.1"',
        'for="1.1.1.1\\',
        'for="1.1.1.1"x',
        'for=1.1.1.1,for="',
    ),
]


@pytest.mark.parametrize("line", BROKEN)
def test_a_line_that_breaks_the_grammar_says_nothing(line):
    assert by_elements(line) == PROXY


def test_a_stranger_is_believed_nothing():
    for peer in ("198.51.100.7", "2001:db8::7", "not an address", None):
        assert by_list("1.1.1.1", peer=peer) == peer
        assert by_elements("for=1.1.1.1", peer=peer) == peer
    assert by_list("1.1.1.1", trusted=Networks()) == PROXY


def test_both_headers_count_when_they_agree_and_neither_when_they_do_not():
    assert client_address(PROXY, TRUSTED, ["198.51.100.7"], ["for=198.51.100.7"]) == "198.51.100.7"
    assert client_address(PROXY, TRUSTED, ["198.51.100.7"], ["for=1.1.1.1"]) == PROXY
    assert client_address(PROXY, TRUSTED, ["198.51.100.7"], ["nonsense"]) == PROXY
    assert client_address(PROXY, TRUSTED) == PROXY


PROXIES = st.integers(0, 255).map(lambda n: f"10.0.0.{n}") | st.integers(1, 9).map(lambda n: f"2001:db8:aaaa::{n}")
OUTSIDE = (st.ip_addresses(v=4, network="198.51.100.0/24") | st.ip_addresses(v=6, network="2001:db8:bbbb::/48")).map(
    str
)
PIECES = ['"', "\\", ",", ";", "for=", "1.1.1.1", "10.0.0.9", " ", "[", "]", "=", "unknown"]
WRITTEN = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60) | st.lists(
    st.sampled_from(PIECES), max_size=20
).map("".join)
MADE_UP = st.lists(WRITTEN, max_size=3)
"""The lines of a header as a client may write them."""

HOPS = st.lists(PROXIES, min_size=1, max_size=4)
STYLES = st.sampled_from(["for={}", "for={};proto=https", 'by="_us";for={};host="you.example"', "proto=https; for={}"])


def quoted(address: str) -> str:
    """As RFC 7239 has it: IPv6 in brackets and quotes."""
    return f'"[{address}]"' if ":" in address else address


def append(made_up: list[str], appended: list[str], *, one_line: bool) -> list[str]:
    """The header's lines after proxies have each appended theirs: to the last line, or each as a line of its own."""
    if not one_line or not made_up:
        return [*made_up, *appended]
    return [*made_up[:-1], ", ".join([made_up[-1], *appended])]


@given(made_up=MADE_UP, client=OUTSIDE, hops=HOPS, one=st.booleans())
def test_no_client_can_claim_another_address_by_the_list(made_up, client, hops, one):
    *passed, peer = hops
    assert by_list(*append(made_up, [client, *passed], one_line=one), peer=peer) == client


@given(made_up=MADE_UP, client=OUTSIDE, hops=HOPS, style=STYLES, one=st.booleans())
def test_no_client_can_claim_another_address_by_forwarded(made_up, client, hops, style, one):
    """It may break the line that the proxies append to: then it goes by a proxy's address, which is allowed nothing."""
    *passed, peer = hops
    lines = append(made_up, [style.format(quoted(hop)) for hop in [client, *passed]], one_line=one)
    assert by_elements(*lines, peer=peer) in {client, *hops}
    assert one or by_elements(*lines, peer=peer) == client


@given(made_up=MADE_UP, client=OUTSIDE, peer=PROXIES)
def test_no_client_can_claim_another_address_by_the_header_that_its_proxy_does_not_write(made_up, client, peer):
    assert client_address(peer, TRUSTED, [client], made_up) in {client, peer}
    assert client_address(peer, TRUSTED, made_up, [f"for={quoted(client)}"]) in {client, peer}


@given(peer=PROXIES, lines=MADE_UP, more=MADE_UP)
def test_whatever_stands_in_the_headers_the_answer_is_an_address(peer, lines, more):
    answer = client_address(peer, TRUSTED, lines, more)
    assert answer is not None
    assert IPv6Address(answer) if ":" in answer else len(answer.split(".")) == 4
