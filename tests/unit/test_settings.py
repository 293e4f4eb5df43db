"""A wrong value stops the start with one message that names the variable; no secret is ever in it."""

import os
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.settings_table import tables

from receiver.settings import Settings, SettingsError, default_data_dir, load, unknown_variables, variable

TOKEN = "Zq7-callback_token.0123456789"
URL = "postgresql://sms:hunter2@db/sms"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """No .env."""
    monkeypatch.chdir(tmp_path)


def test_variables_and_the_env_file_are_read_and_the_variable_wins(monkeypatch):
    Path(".env").write_text("RECEIVER_PORT=9000\nRECEIVER_OPS_PORT=9001\nOTHER=1\n")
    monkeypatch.setenv("RECEIVER_PORT", "9100")
    settings = load()
    assert (settings.port, settings.ops_port) == (9100, 9001)


def test_lists_are_separated_by_commas_sizes_have_units_and_words_any_case(monkeypatch):
    given = {
        "CALLBACK_TOKENS": f"{TOKEN}, {TOKEN}2,",
        "TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::1,::ffff:192.0.2.0/120,",
        "ALLOWED_ADDRESSES": "huawei=huawei, huawei=203.0.113.0/24,tencent=::1",
        "SPOOL_MAX_BYTES": "2GiB",
        "LOG_FORMAT": "JSON",
        "LOG_LEVEL": "debug",
        "PORT": "0",
        "OPS_PORT": "0",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"RECEIVER_{name}", value)
    settings = load()
    assert [token.get_secret_value() for token in settings.callback_tokens] == [TOKEN, f"{TOKEN}2"]
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "2001:db8::1/128", "192.0.2.0/24"]
    assert settings.allowed_addresses == {"huawei": ("huawei", "203.0.113.0/24"), "tencent": ("::1",)}
    assert (settings.spool_max_bytes, settings.log_format, settings.log_level) == (2 * 1024**3, "json", "DEBUG")
    assert (settings.port, settings.ops_port) == (0, 0)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.setenv(variable(name), "")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [  # besides those of tests/golden/test_settings.py
        ("PORT", "65536", "65535"),
        ("PORT", "-1", "0"),
        ("PUBLIC_URL", "ftp://example.com", "is no URL of scheme, host"),
        ("PUBLIC_URL", "https://", "is no URL of scheme, host"),
        ("PUBLIC_URL", "https://a@example.com", "is no URL of scheme, host"),
        ("PUBLIC_URL", "https://example.com/?a", "is no URL of scheme, host"),
        ("PUBLIC_URL", "https://a/#b", "is no URL of scheme, host"),
        ("DATABASE_URL", "postgresql+asyncpg://sms:hunter2@db/sms", "postgresql:// or postgres://"),
        ("DATABASE_URL", "postgresql://sms:hunter2@db-a.example,db-b..example/sms", "has no readable host"),
        ("DATABASE_URL", "postgresql:///sms?host=db-a,db-b..example", "has no readable host"),
        ("DATABASE_URL", "postgresql://sms:hunter@2@a,b/sms", "percent-encode what is special in the user"),
        ("CALLBACK_TOKENS", f"{TOKEN},with/slash+0123456789", "token 2 of 2 cannot stand in a URL path"),
        ("CALLBACK_TOKENS", "................", "cannot stand in a URL path"),
        ("CALLBACK_TOKENS", " , ", "holds no token"),
        ("SPOOL_MAX_BYTES", "much", "'much'"),
        ("SPOOL_MAX_BYTES", "0", "greater than 0"),
        ("BODY_TIMEOUT_S", "inf", "finite"),
        ("REUSE_PORT", "maybe", "boolean"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy.internal", "proxy.internal is no address or network"),
        ("TRUSTED_PROXIES", "::/0", "anyone could claim any address"),
        ("TRUSTED_PROXIES", " , ", "holds no network"),
        ("OPS_ALLOWED_HOSTS", "receiver,receiver:8081", "receiver:8081 is no host name"),
        ("ALLOWED_ADDRESSES", "huawei=", "platform=network"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "0", "greater than or equal to 1"),
        ("HEADER_TIMEOUT_S", "0", "greater than 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(monkeypatch, name, value, says):
    monkeypatch.setenv(f"RECEIVER_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value).startswith(f"RECEIVER_{name}: ")
    assert says in str(caught.value)
    assert str(caught.value).count(repr(value)) <= 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hosts", ["a:5432,[::1]:5433", "[::1],[::2]", "a,b:5433,%2Frun%2Fone"])
def test_hosts_of_a_database_in_each_form(monkeypatch, hosts):
    monkeypatch.setenv("RECEIVER_DATABASE_URL", f"postgresql://sms:hunter2@{hosts}/sms")
    assert load().database_url.get_secret_value().endswith(f"{hosts}/sms")


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["RECEIVER_DATABASE_URL", "RECEIVER_CALLBACK_TOKENS"]),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=8, max_size=15),
)
def test_no_wrong_secret_is_in_an_error_or_its_traceback(name, secret):
    secret = f"x{secret.replace(',', '.')}\N{LATIN SMALL LETTER E WITH ACUTE}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, secret)
        with pytest.raises(SettingsError) as caught:
            load()
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://sms:hunter2@db/sms"),
        ("OPS_TOKEN", "hunter2"),
        ("PUSH_KEYS", "hunter2:hunter2"),
        ("PUBLIC_URL", "sms:hunter2@sms.example.com"),
        ("PUBLIC_URL", "sms.example.com/callback/huawei/report/hunter2"),
    ],
)
def test_a_wrong_secret_is_not_told(monkeypatch, name, value):
    monkeypatch.setenv(f"RECEIVER_{name}", value)
    with pytest.raises(SettingsError, match=f"^RECEIVER_{name}: ") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_what_settings_look_like(monkeypatch):
    monkeypatch.setenv("RECEIVER_DATABASE_URL", URL)
    monkeypatch.setenv("RECEIVER_CALLBACK_TOKENS", TOKEN)
    settings = load()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in shown
        assert TOKEN not in shown


def test_an_env_file_that_cannot_be_read_is_said():
    Path(".env").write_bytes(b"RECEIVER_HOST=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"the file \.env cannot be read: it is not UTF-8"):
        load()


def test_the_data_folder_is_one_that_the_embedded_postgresql_can_reach(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/receiver")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/ann/.local/share")
    assert default_data_dir() == Path("/home/ann/.local/share/receiver")


def test_a_data_folder_is_absolute(monkeypatch):
    monkeypatch.setenv("RECEIVER_DATA_DIR", "here")
    assert load().data_dir == Path.cwd() / "here"
    monkeypatch.setenv("RECEIVER_DATA_DIR", "~/there")
    assert load().data_dir == Path.home() / "there"


@pytest.mark.parametrize(
    "given", ["https://sms.example.com", "http://[2001:db8::1]:8080/", "https://example.com:443/sms/in/"]
)
def test_a_public_url_ends_where_the_path_of_a_request_begins(monkeypatch, given):
    monkeypatch.setenv("RECEIVER_PUBLIC_URL", given)
    assert load().public_url == given.rstrip("/")


def test_a_mistyped_variable_is_found_in_the_environment_and_the_file(monkeypatch):
    assert unknown_variables({"RECEIVER_PROT": "1", "RECEIVER_PORT": "1", "receiver_port": "1", "PORT": "1"}) == [
        "RECEIVER_PROT"
    ]
    Path(".env").write_text("RECEIVER_HOTS=x\n")
    monkeypatch.setenv("RECEIVER_PROT", "1")
    assert unknown_variables() == ["RECEIVER_HOTS", "RECEIVER_PROT"]


def test_every_setting_has_a_meaning_and_a_row_in_the_table():
    rows = [row for table in tables() for row in table.splitlines()[2:]]
    assert sorted(row.split("`")[1] for row in rows) == sorted(variable(name) for name in Settings.model_fields)
    for name, info in Settings.model_fields.items():
        assert info.description, name
        assert info.description.endswith("."), name
    assert any(row.startswith("| `RECEIVER_SPOOL_MAX_BYTES` | `1GiB` |") for row in rows)
    assert any(row.startswith("| `RECEIVER_DATABASE_URL` | unset |") for row in rows)


def test_every_secret_is_known_to_the_logs_of_every_command(monkeypatch):
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://sms:p%40ssword-of-sms@db/sms")
    monkeypatch.setenv("RECEIVER_CALLBACK_TOKENS", TOKEN)
    monkeypatch.setenv("RECEIVER_OPS_TOKEN", f"{TOKEN}-ops")
    monkeypatch.setenv("RECEIVER_PUSH_KEYS", "huawei:access:the:secret,huawei:other:secret-two")
    monkeypatch.setenv("RECEIVER_READ_DATABASE_URL", "postgresql://reader:password-of-reader@replica/sms")
    passwords = {"p%40ssword-of-sms", "p@ssword-of-sms", "password-of-reader"}
    assert set(load().secrets()) == {TOKEN, f"{TOKEN}-ops", "the:secret", "secret-two", *passwords}
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://sms:sms@db/sms")
    assert "sms" not in load().secrets(), "it would be taken out of every other word"


def test_no_setting_is_left_as_the_example_has_it(monkeypatch):
    for value in ("CHANGE-ME-0123456789abcdef", "huawei:change-me:x", "postgresql://sms:Change-Me@db/sms"):
        for name in Settings.model_fields:
            with monkeypatch.context() as patch:
                patch.setenv(variable(name), value)
                with pytest.raises(SettingsError, match=f"^{variable(name)}: still says CHANGE-ME"):
                    load()
