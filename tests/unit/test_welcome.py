"""What a start tells the person at the terminal, and never tells."""

import sys
from pathlib import Path

import pytest
from support.parsing import parse

from receiver.providers import PROVIDERS
from receiver.settings import Settings
from receiver.store.schema import head
from receiver.welcome import example_call, typed, welcome

URL = "http://127.0.0.1:8080"
TOKEN = "a-callback-token-0123456789"
SECRETS = {
    "callback_tokens": TOKEN,
    "ops_token": "an-ops-token-0123456789",
    "database_url": "postgresql://sms:pass-word-0123@db.example/sms",
    "push_keys": "huawei:access:a-secret-0123456789",
}


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)


def told(at: Settings, server: str | None = "18.4") -> str:
    return welcome(
        at, server=server, ops_url="http://127.0.0.1:8081", callbacks_at=(URL, "0.0.0.0:8080"), pulled=(), command="r"
    )


def test_it_tells_what_runs_and_where_and_how_to_go_on(tmp_path: Path) -> None:
    said = told(settings(data_dir=tmp_path))
    for one in (
        f"PostgreSQL 18.4, schema {head()}, started for this service in {tmp_path}",
        'psql "$(r database-url)"',
        *(f"{URL}/callback/{endpoint.path}" for provider in PROVIDERS for endpoint in provider.endpoints),
        "http://127.0.0.1:8081/",
        "0.0.0.0:8080",
        f"curl {URL}/callback/",
        "Ctrl-C",
    ):
        assert one in said, one


def test_a_database_of_the_operators_own_is_named_and_one_that_is_away_is_told_of() -> None:
    at = settings(database_url=SECRETS["database_url"])
    assert f"PostgreSQL 17.2, schema {head()} at db.example" in told(at, "17.2")
    assert "db.example: it cannot be reached, so reports go to the spool" in told(at, None)


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        (".venv/bin/receiver", ".venv/bin/receiver"),
        ("/nowhere/of ours/bin/receiver", "'/nowhere/of ours/bin/receiver'"),
        ("/checkout/receiver/__main__.py", f"{sys.executable} -m receiver"),
        ("-c", f"{sys.executable} -m receiver"),
    ],
)
def test_the_command_is_named_as_it_can_be_typed(monkeypatch, tmp_path: Path, program: str, shown: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program])
    assert typed() == shown


def test_no_secret_is_told() -> None:
    said = told(settings(**SECRETS))
    assert [secret for secret in SECRETS.values() if secret in said] == []
    for secret in (TOKEN, "an-ops-token", "pass-word", "a-secret"):
        assert secret not in said
    assert "/callback/huawei/report/<token>" in said
    assert "asks for RECEIVER_OPS_TOKEN" in said


def test_the_command_to_try_takes_the_token_from_the_shell() -> None:
    command, note = example_call(settings(callback_tokens=TOKEN), URL)
    assert "/$TOKEN -d '" in command
    assert "RECEIVER_CALLBACK_TOKENS" in note
    signing = settings(allowed_addresses=",".join(f"{provider.name}=192.0.2.1" for provider in PROVIDERS))
    assert example_call(signing, URL) == [], "every platform's calls are checked: curl would be refused"


@pytest.mark.parametrize("provider", [one for one in PROVIDERS if one.example], ids=lambda one: one.name)
def test_an_example_is_one_report_that_a_shell_passes_on(provider) -> None:
    assert "'" not in provider.example
    parsed = parse(provider.endpoints[0].path, provider.example.encode())
    assert (len(parsed.reports), list(parsed.faults)) == (1, [])
