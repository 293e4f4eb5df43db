"""The parts of the pull that need no database: settings, what is in hand, answers, and patience."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from support import tencent_api
from support.capture import captured_log

from receiver.pull import backoff
from receiver.pull.backoff import Backoff
from receiver.pull.journal import AnswerJournal
from receiver.pull.loop import as_callback
from receiver.pull.source import PulledAnswer, PullFailed
from receiver.pull.sources import PLATFORMS
from receiver.pull.sources.tencent import parse_answer
from receiver.pull.sources.tencent_errors import failure
from receiver.pull.wiring import VARIABLES, configured
from receiver.settings import SettingsError

NAME = "PullSmsSendStatusSet"
PATH = "tencent/pulled-reports"
PREFIX = "RECEIVER_TENCENT_PULL_"
CREDENTIALS = {
    "SECRET_ID": tencent_api.SECRET_ID,
    "SECRET_KEY": tencent_api.SECRET_KEY,
    "SDK_APP_ID": tencent_api.APP_ID,
}


def test_without_settings_nothing_is_pulled_nor_the_sdk_imported():
    assert configured() == []
    script = "import sys, receiver.cli, receiver.cli.pull; sys.exit('tencentcloud' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
    assert all(platform.switch in platform.settings.model_fields for platform in PLATFORMS)


def test_the_defaults_stay_far_below_what_the_platform_allows_and_the_log_knows_the_secret(monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    (platform,) = configured()
    assert platform.secrets == (tencent_api.SECRET_KEY,)
    assert [source.path for source in platform.sources] == [PATH, "tencent/pulled-replies"]
    for source in platform.sources:
        assert source.limit == 100
        assert 1 / source.gap_s <= 10
        assert source.interval_s >= source.gap_s
    assert all(1 / lookup.gap_s <= 20 for lookup in platform.lookups)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        *((name, "", "must be set too") for name in CREDENTIALS),
        *((name, "change-me-0123456789", "still says CHANGE-ME") for name in (*CREDENTIALS, "ENDPOINT")),
        *((name, value, "") for name, value in (("LIMIT", "101"), ("LIMIT", "0"), ("INTERVAL_S", "0"))),
        ("MAX_CALLS_PER_S", "100", ""),
    ],
)
def test_a_wrong_value_is_named_and_the_key_is_not_told(monkeypatch, name, value, told):
    for variable, given in (CREDENTIALS | {name: value}).items():
        monkeypatch.setenv(f"{PREFIX}{variable}", given)
    assert f"{PREFIX}{name}" in VARIABLES
    with pytest.raises(SettingsError, match=f"^{PREFIX}{name}: {told}") as caught:
        configured()
    assert tencent_api.SECRET_KEY not in str(caught.value)
    assert caught.value.__context__ is None


CUT_OFF, NO_LIST = (
    b'{"Response": {"PullSmsSendStatusSet": [{"SerialNo": "1',
    b'{"Response": {"PullSmsSendStatusSet": 7}}',
)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        *((json.dumps({"Response": {NAME: [{}] * n, "RequestId": "r"}}).encode(), n) for n in (0, 1, 100)),
        *((json.dumps({"Response": nothing}).encode(), 0) for nothing in ({}, {NAME: None})),
        # With the list in it, it is kept, whatever it is.
        (CUT_OFF, 1),
        (NO_LIST, 1),
    ],
    ids=["none", "one", "a hundred", "empty", "null", "cut off", "no list"],
)
def test_the_items_of_an_answer_are_counted(body, count):
    assert parse_answer(body, NAME) == PulledAnswer(body, count)


@pytest.mark.parametrize("other", [b"", b"<html>", b"{}", b"[]", b'{"Response": null}', b"[" * 100_000, b"\xff"])
def test_what_is_not_the_api_is_a_failure(other):
    with pytest.raises(PullFailed, match="NotTheApi"):
        parse_answer(other, NAME)


@pytest.mark.parametrize(("code", "doubt"), [("InternalError.Timeout", True), ("RequestLimitExceeded", False)])
def test_an_error_is_one_also_where_the_sdk_overlooks_it(code, doubt):
    body = json.dumps({"Response": {"Error": {"Code": code, "Message": "why"}, "RequestId": "r"}}).encode()
    with pytest.raises(PullFailed) as caught:
        parse_answer(body, NAME)
    assert (caught.value.code, caught.value.detail, caught.value.doubt) == (code, "why", doubt)


def test_an_answer_is_held_byte_for_byte_for_nobody_else_to_read_until_it_is_let_go(tmp_path):
    folder = tmp_path / "pull"
    hand, callback = AnswerJournal(folder, PATH), as_callback(PATH, PulledAnswer(b'{"a":\n1}\n\xff\x00', 1))
    hand.begin_call()
    hand.write_answer(callback)
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())] == [0, 0, 0]
    again = AnswerJournal(folder, PATH)
    assert again.pending_answer() == callback
    assert again.interrupted_since() is None
    again.clear_answer()
    assert again.pending_answer() is None


def test_a_call_without_an_answer_is_remembered(tmp_path):
    hand = AnswerJournal(tmp_path, PATH)
    assert hand.interrupted_since() is None
    hand.begin_call()
    assert datetime.fromisoformat(AnswerJournal(tmp_path, PATH).interrupted_since()) <= datetime.now(UTC)
    hand.end_call()
    assert AnswerJournal(tmp_path, PATH).interrupted_since() is None


@pytest.mark.parametrize("content", [b"", b"{}\nbody", b"no head", b'{"received_at": "x", "request_id": 1}\n'])
def test_what_cannot_be_read_is_set_aside_and_told_of(tmp_path, content):
    (tmp_path / "tencent-pulled-reports.answer").write_bytes(content)
    with captured_log() as log:
        assert AnswerJournal(tmp_path, PATH).pending_answer() is None
    assert log.events("pull.answer_unreadable")
    (aside,) = tmp_path.glob("*.broken-*")
    assert aside.read_bytes() == content


def test_a_disk_that_takes_nothing_is_told_of_and_no_error(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with captured_log() as log:
        hand = AnswerJournal(folder, PATH)
        hand.begin_call()
        hand.write_answer(as_callback(PATH, PulledAnswer(b"{}", 1)))
        assert hand.pending_answer() is None
        hand.end_call()
        hand.clear_answer()
    assert {line["during"] for line in log.events("pull.disk_failed")} >= {"prepare", "begin", "hold"}


def test_each_failure_waits_longer_up_to_a_minute_and_a_success_starts_anew(monkeypatch):
    monkeypatch.setattr(backoff.random, "uniform", lambda _least, most: most)
    some = Backoff(PATH)
    later, check_the_key = failure("RequestLimitExceeded", ""), failure("AuthFailure.SignatureFailure", "")
    assert [some.failed(later) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    some.succeeded()
    assert some.failed(check_the_key) == 60, "only a person can mend it"
    some.succeeded()
    assert some.failed(later) == 1


def test_the_same_is_told_once_a_minute_but_doubt_always(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(backoff, "monotonic", lambda: now)
    some = Backoff(PATH)
    with captured_log() as log:
        for _ in range(5):
            some.failed(PullFailed("AuthFailure", "check the key"))
            some.failed(PullFailed("ClientNetworkError", "check the network", doubt=True))
        now += 60
        some.failed(PullFailed("AuthFailure", "check the key"))
        some.succeeded()
        some.succeeded()
    assert [len(log.events(f"pull.{what}")) for what in ("failed", "in_doubt", "restored")] == [2, 5, 1]
