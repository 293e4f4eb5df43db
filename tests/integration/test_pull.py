"""Reports that the platform hands out only once: pulled, kept, and none lost whatever breaks."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from support import process, tencent_api
from support.capture import captured_log
from support.databases import administrate
from support.pulling import ids, looping, opened, pulling, stored
from support.tencent_api import REPLIES, pushed, pushed_reply, reply, report
from support.waiting import eventually

from receiver.pull import backoff, loop
from receiver.pull.wiring import keeping
from receiver.service import storing as storage
from receiver.store.durable import StoreUnavailable


@pytest.fixture
async def api():
    async with tencent_api.running() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """No story here is about how long it waits."""
    monkeypatch.setattr(backoff, "_FIRST_S", 0.01)
    monkeypatch.setattr(backoff, "_MAX_S", 0.05)
    monkeypatch.setattr(loop, "_PAUSE_S", 0.02)
    monkeypatch.setattr(loop, "_KEEP_FIRST_S", 0.02)
    monkeypatch.setattr(loop, "_STOP_TIMEOUT_S", 0.5)


@pytest.fixture
def settings(make_settings):
    """A slow machine must not turn a story about the platform into one about the spool."""
    return make_settings(database_timeout_s=20, answer_deadline_s=30)


@asynccontextmanager
async def database_away(cluster, database):
    """Nobody gets in, and who was in is thrown out."""
    name = urlsplit(database).path[1:]
    gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    await administrate(cluster, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", gone)
    try:
        yield
    finally:
        await administrate(cluster, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def has(database, count):
    async def enough():
        return len(await stored(database)) >= count

    return enough


class TestWhenAllIsWell:
    async def test_everything_is_pulled_a_hundred_at_a_time_and_stored_once(self, api, monkeypatch, settings, database):
        api.give(report(number) for number in range(250))
        api.give((reply(number) for number in range(3)), REPLIES)
        async with pulling(settings, opened(monkeypatch, api)):
            await eventually(has(database, 250))
            await eventually(lambda: len(api.calls_of(REPLIES)) > 1)
        assert await stored(database) == ids(api.handed())
        assert await stored(database, "body", "reply") == sorted(item["ReplyContent"] for item in api.handed(REPLIES))
        assert {call.parameters["Limit"] for call in api.calls} == {100}
        assert [len(call.handed) for call in api.calls_of()][:3] == [100, 100, 50]
        assert not api.refused

    async def test_there_is_no_next_call_before_the_last_answer_is_kept(self, api, monkeypatch, settings, database):
        source, _ = opened(monkeypatch, api, limit=10).sources
        api.give(report(number) for number in range(50))
        calls = []
        async with storage(settings, asyncio.Event()) as kept:
            keep = keeping(kept.ingest)

            async def watched(callback):
                before = len(api.calls)
                await keep(callback)
                calls.append((before, len(api.calls)))

            async with looping(source, watched, settings):
                await eventually(lambda: len(calls) == 5)
        assert calls == [(number, number) for number in range(1, 6)]
        assert await stored(database) == ids(api.handed())

    async def test_what_is_pushed_and_pulled_is_stored_once(self, api, monkeypatch, service):
        items, replies = [report(number) for number in range(20)], [reply(number) for number in range(3)]
        api.give(items)
        api.give(replies, REPLIES)
        await service.post("/callback/tencent/reports", json.dumps([pushed(item) for item in items[:10]]))
        apart = service.settings.model_copy(update={"data_dir": service.settings.data_dir / "apart"})
        async with pulling(apart, opened(monkeypatch, api)):
            await eventually(lambda: len(api.calls_of()) > 1 and len(api.calls_of(REPLIES)) > 1)
        await service.post("/callback/tencent/reports", json.dumps([pushed(item) for item in items[10:]]))
        for item in replies:
            await service.post("/callback/tencent/reply", json.dumps(pushed_reply(item)))
        database = service.settings.database_url.get_secret_value()
        assert await stored(database) == ids(items)
        assert len(await stored(database, "reply_id", "reply")) == 3

    async def test_beside_serve_where_the_settings_say_so(self, api, database, tmp_path):
        api.give(report(number) for number in range(10))
        async with process.running(tmp_path, database_url=database, database_timeout_s=20, **api.settings) as service:
            await eventually(has(database, 10))
            assert await service.terminate() == 0
        assert await stored(database) == ids(api.handed())
        assert not any("settings.unknown" in line for line in service.output)
        assert not service.noise()

    async def test_a_line_each_in_the_log_and_no_number_or_key_in_it_and_all_is_counted(
        self, api, monkeypatch, settings
    ):
        api.give([report(1)])
        platform = opened(monkeypatch, api)
        with captured_log(tokens=platform.secrets) as log:
            async with pulling(settings, platform) as kept:
                await eventually(lambda: log.events("pull.kept") and len(api.calls_of()) > 1)
                metrics = kept.metrics.render().decode()
        (line,) = log.events("report.stored")
        (pulled,) = log.events("pull.kept")
        assert (line["recipient"], pulled["items"]) == ("+86138****0001", 1)
        assert pulled["request_id"] == line["request_id"]
        assert "13800000001" not in log.text
        assert tencent_api.SECRET_KEY not in log.text
        assert 'receiver_pull_calls_total{outcome="kept",source="tencent/pulled-reports"} 1.0' in metrics
        assert 'receiver_pull_items_total{source="tencent/pulled-reports"} 1.0' in metrics


class TestWhenNothingCanBeKept:
    async def test_what_postgresql_does_not_take_is_spooled_and_gets_there_later(
        self, api, monkeypatch, make_settings, cluster, database
    ):
        async with pulling(make_settings(), opened(monkeypatch, api, limit=10)):
            await eventually(lambda: api.calls)
            async with database_away(cluster, database):
                api.give(report(number) for number in range(50))
                await eventually(lambda: len(api.handed()) == 50)
            await eventually(has(database, 50))
        assert await stored(database) == ids(api.handed())

    async def test_with_the_spool_full_too_it_has_one_answer_in_hand_and_asks_for_no_more(
        self, api, monkeypatch, make_settings, cluster, database
    ):
        platform = opened(monkeypatch, api)
        with captured_log() as log:
            async with pulling(make_settings(spool_max_bytes=1), platform):
                await eventually(lambda: api.calls)
                async with database_away(cluster, database):
                    api.give(report(number, SessionContext=200 * "x") for number in range(300))
                    # The replies' loop, with nothing in hand, sees that nothing could be kept.
                    await eventually(lambda: log.events("pull.not_kept") and log.events("pull.paused"))
                    assert len(api.handed()) == 100
                await eventually(has(database, 300))
        assert await stored(database) == ids(api.handed())

    async def test_stopped_meanwhile_it_leaves_the_answer_on_the_disk_and_the_next_start_keeps_it(
        self, api, monkeypatch, settings, database
    ):
        platform = opened(monkeypatch, api)
        api.give(report(number) for number in range(10))
        refused = asyncio.Event()

        async def refuse(_callback):
            refused.set()
            raise StoreUnavailable

        async with looping(platform.sources[0], refuse, settings):
            await refused.wait()
        assert await stored(database) == []
        with captured_log() as log:
            async with pulling(settings, platform):
                await eventually(has(database, 10))
                await eventually(lambda: log.events("pull.resumed"))
        assert await stored(database) == ids(api.handed())
        assert not log.events("pull.interrupted")


class TestWhenThePlatformFails:
    @pytest.mark.parametrize("fault", ["502", "internal error", "other JSON", "a web page", "says nothing"])
    async def test_it_is_asked_again_until_it_answers(self, api, monkeypatch, settings, database, fault):
        api.fault = fault
        with captured_log() as log:
            async with pulling(settings, opened(monkeypatch, api, timeout_s=0.2)):
                await eventually(lambda: log.events("pull.failed", "pull.in_doubt"))
                api.give(report(number) for number in range(10))
                api.fault = None
                await eventually(has(database, 10))
                await eventually(lambda: log.events("pull.restored"))
        assert await stored(database) == ids(api.handed())
        assert await stored(database, "rejected_id", "rejected_payload") == []

    @pytest.mark.parametrize("fault", ["hangs up", "cuts the answer"])
    async def test_an_answer_lost_on_its_way_is_told_of(self, api, monkeypatch, settings, database, fault):
        with captured_log() as log:
            async with pulling(settings, opened(monkeypatch, api, limit=10)):
                await eventually(lambda: len(api.calls_of()) > 1)
                api.fault = fault
                api.give(report(number) for number in range(10))
                await eventually(lambda: len(api.handed()) == 10)
                api.fault = None
                api.give(report(number) for number in range(10, 20))
                await eventually(has(database, 10))
        assert await stored(database) == ids(api.handed())[10:]
        assert "tencent/pulled-reports" in {line["source"] for line in log.events("pull.in_doubt")}

    async def test_an_answer_that_nobody_understands_is_kept_as_rejected(self, api, monkeypatch, settings, database):
        api.give([{"not": "a report"}, report(1)])
        async with pulling(settings, opened(monkeypatch, api)):
            await eventually(has(database, 1))
            await eventually(lambda: stored(database, "path", "rejected_payload"))
        assert await stored(database, "path", "rejected_payload") == ["/callback/tencent/pulled-reports"]

    async def test_a_platform_that_is_not_there_leaves_no_doubt(self, monkeypatch, api, settings):
        api.url = "http://127.0.0.1:9"
        with captured_log() as log:
            async with pulling(settings, opened(monkeypatch, api)):
                await eventually(lambda: log.events("pull.failed"))
        assert not log.events("pull.in_doubt")
        assert log.events("pull.failed")[0]["code"] == "ClientNetworkError"

    async def test_too_many_calls_are_answered_by_fewer(self, api, monkeypatch, settings, database):
        api.calls_per_second = 3
        api.give(report(number) for number in range(60))
        async with pulling(settings, opened(monkeypatch, api, limit=10, max_calls_per_s=50)):
            await eventually(has(database, 60))
        assert api.refused["RequestLimitExceeded"]
        assert await stored(database) == ids(api.handed())

    @pytest.mark.parametrize(
        ("changed", "code", "named"),
        [
            ({"secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound", "RECEIVER_TENCENT_PULL_SECRET_ID"),
            ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure", "RECEIVER_TENCENT_PULL_SECRET_KEY"),
            (
                {"sdk_app_id": "1"},
                "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
                "RECEIVER_TENCENT_PULL_SDK_APP_ID",
            ),
        ],
    )
    async def test_a_wrong_setting_is_named_once_and_not_at_every_call(
        self, api, monkeypatch, settings, changed, code, named
    ):
        with captured_log() as log:
            async with pulling(settings, opened(monkeypatch, api, **changed)):
                await eventually(lambda: api.refused[code] > 10)
        lines = log.events("pull.failed")
        assert sorted(line["source"] for line in lines) == ["tencent/pulled-replies", "tencent/pulled-reports"]
        assert all(line["code"] == code and named in line["advice"] for line in lines)
        assert "wrong" not in log.text.replace("SignatureFailure", "").replace("The signature is wrong.", "")

    async def test_the_answers_media_type_does_not_matter(self, api, monkeypatch, settings, database):
        api.content_type = "text/plain"
        api.give([report(1)])
        async with pulling(settings, opened(monkeypatch, api)):
            await eventually(has(database, 1))
