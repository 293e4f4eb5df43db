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


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}SECRET_ID", tencent_api.SECRET_ID)
    monkeypatch.setenv(f"{PREFIX}SECRET_KEY", tencent_api.SECRET_KEY)
    monkeypatch.setenv(f"{PREFIX}SDK_APP_ID", tencent_api.APP_ID)


class TestSettings:
    def test_without_any_nothing_is_pulled(self):
        assert configured() == []

    @pytest.mark.usefixtures("credentials")
    def test_the_defaults_stay_far_below_what_the_platform_allows(self):
        (platform,) = configured()
        assert [source.path for source in platform.sources] == [PATH, "tencent/pulled-replies"]
        for source in platform.sources:
            assert source.limit == 100
            assert 1 / source.gap_s <= 10
            assert source.interval_s >= source.gap_s
        assert all(1 / lookup.gap_s <= 20 for lookup in platform.lookups)

    @pytest.mark.parametrize("missing", ["SECRET_ID", "SECRET_KEY", "SDK_APP_ID"])
    @pytest.mark.usefixtures("credentials")
    def test_the_three_belong_together(self, monkeypatch, missing):
        monkeypatch.delenv(f"{PREFIX}{missing}")
        with pytest.raises(SettingsError, match=f"^{PREFIX}{missing}: must be set too"):
            configured()

    @pytest.mark.parametrize(
        ("name", "value"), [("LIMIT", "101"), ("LIMIT", "0"), ("MAX_CALLS_PER_S", "100"), ("INTERVAL_S", "0")]
    )
    @pytest.mark.usefixtures("credentials")
    def test_a_wrong_value_is_named_and_the_key_is_not_told(self, monkeypatch, name, value):
        monkeypatch.setenv(f"{PREFIX}{name}", value)
        with pytest.raises(SettingsError, match=f"^{PREFIX}{name}: ") as caught:
            configured()
        assert tencent_api.SECRET_KEY not in str(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("name", ["SECRET_ID", "SECRET_KEY", "SDK_APP_ID", "ENDPOINT"])
    @pytest.mark.usefixtures("credentials")
    def test_no_value_is_left_as_an_example_has_it(self, monkeypatch, name):
        monkeypatch.setenv(f"{PREFIX}{name}", "change-me-0123456789")
        with pytest.raises(SettingsError, match=f"^{PREFIX}{name}: still says CHANGE-ME"):
            configured()

    @pytest.mark.usefixtures("credentials")
    def test_its_secret_is_known_to_the_log(self):
        assert configured()[0].secrets == (tencent_api.SECRET_KEY,)

    def test_every_variable_is_known(self):
        assert {f"{PREFIX}SECRET_ID", f"{PREFIX}SECRET_KEY", f"{PREFIX}INTERVAL_S", f"{PREFIX}LIMIT"} <= VARIABLES
        assert all(name.startswith("RECEIVER_") for name in VARIABLES)

    def test_every_platform_says_which_setting_switches_it_on(self):
        for platform in PLATFORMS:
            assert platform.switch in platform.settings.model_fields

    def test_the_sdk_is_imported_by_those_alone_who_pull(self):
        script = "import sys, receiver.cli, receiver.cli.pull; sys.exit('tencentcloud' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


class TestAnswers:
    def test_items_are_counted(self):
        for count in (0, 1, 100):
            body = json.dumps({"Response": {NAME: [{}] * count, "RequestId": "r"}}).encode()
            assert parse_answer(body, NAME) == PulledAnswer(body, count)

    @pytest.mark.parametrize("nothing", [{}, {NAME: None}, {NAME: []}])
    def test_nothing_is_nothing(self, nothing):
        body = json.dumps({"Response": nothing}).encode()
        assert parse_answer(body, NAME).count == 0

    @pytest.mark.parametrize(
        "broken",
        [b'{"Response": {"PullSmsSendStatusSet": [{"SerialNo": "1', b'{"Response": {"PullSmsSendStatusSet": 7}}'],
    )
    def test_an_answer_with_the_list_in_it_is_kept_whatever_it_is(self, broken):
        assert parse_answer(broken, NAME) == PulledAnswer(broken, 1)

    @pytest.mark.parametrize("other", [b"", b"<html>", b"{}", b"[]", b'{"Response": null}', b"[" * 100_000, b"\xff"])
    def test_what_is_not_the_api_is_a_failure(self, other):
        with pytest.raises(PullFailed, match="NotTheApi"):
            parse_answer(other, NAME)

    @pytest.mark.parametrize(("code", "doubt"), [("InternalError.Timeout", True), ("RequestLimitExceeded", False)])
    def test_an_error_is_one_also_where_the_sdk_overlooks_it(self, code, doubt):
        body = json.dumps({"Response": {"Error": {"Code": code, "Message": "why"}, "RequestId": "r"}}).encode()
        with pytest.raises(PullFailed) as caught:
            parse_answer(body, NAME)
        assert (caught.value.code, caught.value.detail, caught.value.doubt) == (code, "why", doubt)


class TestHand:
    def test_an_answer_is_held_byte_for_byte_until_it_is_let_go(self, tmp_path):
        hand = AnswerJournal(tmp_path / "pull", PATH)
        callback = as_callback(PATH, PulledAnswer(b'{"a":\n1}\n\xff\x00', 1))
        hand.begin_call()
        hand.write_answer(callback)
        again = AnswerJournal(tmp_path / "pull", PATH)
        assert again.pending_answer() == callback
        assert again.interrupted_since() is None
        again.clear_answer()
        assert again.pending_answer() is None

    def test_a_call_without_an_answer_is_remembered(self, tmp_path):
        hand = AnswerJournal(tmp_path, PATH)
        assert hand.interrupted_since() is None
        hand.begin_call()
        since = datetime.fromisoformat(AnswerJournal(tmp_path, PATH).interrupted_since())
        assert since <= datetime.now(UTC)
        hand.end_call()
        assert AnswerJournal(tmp_path, PATH).interrupted_since() is None

    def test_nobody_else_can_read_it(self, tmp_path):
        hand = AnswerJournal(tmp_path / "pull", PATH)
        hand.write_answer(as_callback(PATH, PulledAnswer(b"{}", 1)))
        assert (tmp_path / "pull").stat().st_mode & 0o077 == 0
        assert [file.stat().st_mode & 0o077 for file in (tmp_path / "pull").iterdir()] == [0, 0]

    @pytest.mark.parametrize("content", [b"", b"{}\nbody", b"no head", b'{"received_at": "x", "request_id": 1}\n'])
    def test_what_cannot_be_read_is_set_aside_and_told_of(self, tmp_path, content):
        (tmp_path / "tencent-pulled-reports.answer").write_bytes(content)
        with captured_log() as log:
            assert AnswerJournal(tmp_path, PATH).pending_answer() is None
        assert log.events("pull.answer_unreadable")
        (aside,) = tmp_path.glob("*.broken-*")
        assert aside.read_bytes() == content

    def test_a_disk_that_takes_nothing_is_told_of_and_no_error(self, tmp_path):
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


class TestPatience:
    def test_each_failure_waits_longer_up_to_a_minute_and_a_success_starts_anew(self, monkeypatch):
        monkeypatch.setattr(backoff.random, "uniform", lambda _least, most: most)
        some = Backoff(PATH)
        error = PullFailed("RequestLimitExceeded", "later")
        assert [some.failed(error) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
        some.succeeded()
        assert some.failed(error) == 1

    def test_what_only_a_person_can_mend_is_asked_for_once_a_minute_at_once(self, monkeypatch):
        monkeypatch.setattr(backoff.random, "uniform", lambda _least, most: most)
        some = Backoff(PATH)
        assert some.failed(failure("AuthFailure.SignatureFailure", "")) == 60
        some.succeeded()
        assert some.failed(failure("RequestLimitExceeded", "")) == 1

    def test_the_same_is_told_once_a_minute_but_doubt_always(self, monkeypatch):
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
        assert len(log.events("pull.failed")) == 2
        assert len(log.events("pull.in_doubt")) == 5
        assert len(log.events("pull.restored")) == 1
