"""Which platforms' URLs are open to whoever knows them, and how an operator hears of it."""

from pathlib import Path

import pytest
from support.capture import captured_log

from receiver.providers import PROVIDERS
from receiver.settings import Settings
from receiver.web.exposure import unprotected, warn_if_open

EVERYBODY = [provider.name for provider in PROVIDERS]
TOKEN = "a-callback-token-0123456789"


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)


@pytest.mark.parametrize(
    ("given", "protected"),
    [
        *(({"host": host}, set()) for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", "::ffff:192.0.2.1")),
        *(({"host": host}, set(EVERYBODY)) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")),
        ({"host": "::ffff:127.0.0.1"}, set(EVERYBODY)),
        ({"callback_tokens": TOKEN}, set(EVERYBODY)),
        ({"push_keys": "huawei:access:secret"}, {"huawei"}),
        ({"allowed_addresses": "cloudsms=cloudsms,tencent=203.0.113.0/24"}, {"cloudsms", "tencent"}),
        (
            {"tls_client_ca": "cloudsms=ca.pem", "tls_certificate": Path("a"), "tls_key": Path("b")},
            {"cloudsms"},
        ),
        ({"allowed_addresses": ",".join(f"{name}=::1" for name in EVERYBODY)}, set(EVERYBODY)),
        ({"push_keys": "huawei:access:secret", "allowed_addresses": "tencent=::1"}, {"huawei", "tencent"}),
    ],
)
def test_what_protects_one_platform_leaves_the_others(given: dict[str, object], protected: set[str]) -> None:
    given = {name: (value,) if isinstance(value, Path) else value for name, value in given.items()}
    assert unprotected(settings(**given)) == [name for name in EVERYBODY if name not in protected]


def test_it_is_said_once_with_what_to_set() -> None:
    with captured_log() as log:
        warn_if_open(settings(push_keys="huawei:access:secret"))
        warn_if_open(settings(callback_tokens=TOKEN))
    (line,) = log.events("callback.unprotected")
    assert (line["level"], line["host"]) == ("warning", "0.0.0.0")
    assert line["platforms"] == ", ".join(name for name in EVERYBODY if name != "huawei")
    for name in ("CALLBACK_TOKENS", "ALLOWED_ADDRESSES", "PUSH_KEYS", "TLS_CLIENT_CA", "HOST=127.0.0.1"):
        assert f"RECEIVER_{name}" in line["advice"]
