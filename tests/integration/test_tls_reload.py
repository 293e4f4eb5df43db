"""A renewed certificate is taken in without a restart, and a broken one is not."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from support import process
from support import service as services
from support.capture import captured_log
from support.certificates import Pair, client, issue
from support.dialects import assert_good, good_body
from support.https import post, serial
from support.waiting import eventually
from support.wire import request, wire

from receiver.server import tls
from receiver.settings import Settings

PATH = "huawei/report"
EXPIRES = "receiver_tls_certificate_expires_seconds{"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pair(authority: trustme.CA, tmp_path: Path) -> Pair:
    return issue(authority, tmp_path, "server")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files all the time."""
    monkeypatch.setattr(tls, "CHECK_S", 0.02)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], pair: Pair) -> Settings:
    return make_settings(tls_certificate=str(pair.certificate), tls_key=str(pair.key))


@pytest.mark.usefixtures("often")
async def test_new_connections_get_the_new_certificate_and_old_ones_go_on(
    settings: Settings, authority: trustme.CA, tmp_path: Path
) -> None:
    trust = client(authority)
    with captured_log() as log:
        async with services.running(settings) as service, wire(service.url, tls=trust) as old:
            before, ended = await serial(service.url, trust), await service.metric(EXPIRES)
            issue(authority, tmp_path, "server", days=60)
            await eventually(lambda: log.events("tls.reloaded"))
            after = await serial(service.url, trust)
            assert after != before
            assert await service.metric(EXPIRES) > ended
            await old.send(request(f"/callback/{PATH}", good_body(PATH, "old")))
            assert (await old.answer()).status == 200
    assert log.events("tls.reload_failed") == []


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("broken", ["certificate", "key"])
async def test_a_broken_file_is_told_and_the_old_certificate_stays(
    settings: Settings, authority: trustme.CA, pair: Pair, tmp_path: Path, broken: str
) -> None:
    """As when one of two files is written yet: the other follows, and all is well."""
    trust = client(authority)
    whole = {"certificate": pair.certificate, "key": pair.key}[broken]
    with captured_log() as log:
        async with services.running(settings) as service:
            before = await serial(service.url, trust)
            whole.write_text("half of a fi")
            await eventually(lambda: log.events("tls.reload_failed"))
            assert await serial(service.url, trust) == before
            issue(authority, tmp_path, "server")
            await eventually(lambda: log.events("tls.reloaded"))
            assert await serial(service.url, trust) != before
    for line in log.events("tls.reload_failed"):
        assert line["level"] == "error"
        assert f"RECEIVER_TLS_{broken.upper()}" in line["error"] or "is not the key of" in line["error"]


@pytest.mark.usefixtures("often")
async def test_files_that_are_gone_change_nothing(settings: Settings, authority: trustme.CA, pair: Pair) -> None:
    trust = client(authority)
    with captured_log() as log:
        async with services.running(settings) as service:
            before = await serial(service.url, trust)
            pair.key.unlink()
            pair.certificate.unlink()
            await eventually(lambda: log.events("tls.reload_failed"))
            assert await serial(service.url, trust) == before


async def test_a_hangup_signal_reloads_at_once(
    database: str, authority: trustme.CA, pair: Pair, tmp_path: Path
) -> None:
    """A process of its own, on the loop that it is run with; and sessions from before are resumed."""
    trust = client(authority, version="TLSv1_2")
    files = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    async with process.running(tmp_path / "service", database_url=database, **files) as service:
        before = await serial(service.url, trust)
        first = await post(service.url, PATH, good_body(PATH, "first"), trust)
        issue(authority, tmp_path, "server")
        os.kill(service.pid, signal.SIGHUP)
        await service.told("tls.reloaded")
        assert await serial(service.url, trust) != before
        second = await post(service.url, PATH, good_body(PATH, "second"), trust, first.session)
        assert_good(PATH, second.answer)
        assert second.resumed
        pair.key.write_text("nonsense")
        os.kill(service.pid, signal.SIGHUP)
        await service.told("tls.reload_failed")
        assert (await post(service.url, PATH, good_body(PATH, "third"), trust)).status == 200
        assert await service.terminate() == 0
        assert service.noise() == []


@pytest.mark.usefixtures("often")
async def test_many_reloads_under_load_cost_no_handshake(
    settings: Settings, authority: trustme.CA, tmp_path: Path
) -> None:
    trust = client(authority)
    pairs = [issue(authority, tmp_path, f"next-{number}") for number in range(5)]
    with captured_log() as log:
        async with services.running(settings) as service:

            async def keep_calling(name: str) -> None:
                for number in range(20):
                    reply = await post(service.url, PATH, good_body(PATH, f"{name}-{number}"), trust)
                    assert reply.status == 200

            async with asyncio.TaskGroup() as group:
                for name in ("a", "b", "c"):
                    group.create_task(keep_calling(name))
                for pair in pairs:
                    pair.key.replace(settings.tls_key[0])
                    pair.certificate.replace(settings.tls_certificate[0])
                    await asyncio.sleep(0.05)
            await eventually(lambda: log.events("tls.reloaded"))
