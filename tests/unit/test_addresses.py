"""Addresses and networks, however they are written."""

import pytest

from receiver.addresses import Networks, client_key, parse_network, socket_address, url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("192.0.2.1", "http://192.0.2.1:8081"),
        ("receiver.example", "http://receiver.example:8081"),
        ("::1", "http://[::1]:8081"),
        ("2001:db8::7", "http://[2001:db8::7]:8081"),
        ("::", "http://[::1]:8081"),
        ("0.0.0.0", "http://127.0.0.1:8081"),
    ],
)
def test_a_url_has_an_ipv6_address_in_brackets(host: str, url: str) -> None:
    assert url_of(host, 8081) == url


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("198.51.100.7", 4711), "198.51.100.7"),
        (("2001:db8::7", 4711, 0, 0), "2001:db8::7"),
        (("::ffff:198.51.100.7", 4711, 0, 0), "198.51.100.7"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::1"),
        ("", None),
        ("/run/receiver.sock", None),
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


def test_no_network_holds_anything():
    assert not Networks()
    assert not Networks().has("198.51.100.7")


@pytest.mark.parametrize("text", ["198.51.100.7/24", "198.51.100.0/33", "everybody", "", "198.51.100.0/", "10.0.0.0-9"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_network(text)


def test_a_site_of_ipv6_counts_as_one_client():
    assert client_key("2001:db8:0:1::5") == client_key("2001:db8:0:1:ffff::5")
    assert client_key("2001:db8:0:1::5") != client_key("2001:db8:0:2::5")
    assert client_key("198.51.100.7") == "198.51.100.7"
