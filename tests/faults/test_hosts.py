"""A primary and its standby, both named in one URL: each part of the service finds the one that it needs by itself."""

import socket
from urllib.parse import urlencode

import pytest
from support.cluster import APPLICATION
from support.faults import READ_ONLY, READ_WRITE
from support.preloaded import Commands
from support.two_hosts import Pair
from support.waiting import eventually
from support.writers import of, writing

from receiver.database_hosts import Wanted
from receiver.reading.reader import Limits, opened
from receiver.settings import Settings
from receiver.store import connecting, racing
from receiver.store.writer import PROBE, DatabaseUnavailable, Writer

PATIENT_S = 20.0
PATIENT = Limits(connect_s=PATIENT_S)


async def _commits(writer: Writer) -> bool:
    try:
        await writer.retry(PROBE)
    except DatabaseUnavailable:
        return False
    return True


async def test_pages_ask_the_primary_but_where_a_standby_is_asked_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "_GRACE_S", PATIENT_S)  # a standby on a busy machine is still preferred
    asked = {
        "own": {"database_url": pair.url()},
        "read": {"read_database_url": pair.url(query="?target_session_attrs=prefer-standby")},
    }
    found = {}
    for name, given in asked.items():
        async with opened(Settings(_env_file=None, **given), pair.url(), PATIENT) as reader:
            found[name] = await reader.fetchval("SELECT pg_is_in_recovery()")
    assert found == {"own": False, "read": True}
    pair.second.kill()
    async with opened(Settings(_env_file=None, **asked["read"]), pair.url(), PATIENT) as reader:
        assert await reader.fetchval("SELECT pg_is_in_recovery()") is False


async def test_a_machine_that_has_gone_without_a_word_is_given_up_after_a_minute(pair: Pair) -> None:
    """By the kernel, which asks for an answer meanwhile: a migration waits for its statements without a time-out."""
    connection = await connecting.connect(pair.first.url(pair.database), timeout_s=PATIENT_S)
    connected = connection._transport.get_extra_info("socket")
    idle_s, between_s, times = (
        connected.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert idle_s + between_s * times == 60
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    connection.terminate()


async def test_a_host_that_hangs_holds_nobody_up(pair: Pair) -> None:
    """Its kernel accepts the connection, and nothing more comes."""
    pair.second.pause()
    try:
        connection = await connecting.connect(pair.url(), timeout_s=PATIENT_S, wanted=Wanted.READ_WRITE)
        assert await connection.fetchval("SELECT 1") == 1
        connection.terminate()
    finally:
        pair.second.resume()


async def test_commands_take_such_a_url_and_name_every_host_that_fails(pair: Pair, commands: Commands) -> None:
    url = pair.url(user="postgres")
    for command in (("maintain",), ("rejected", "list"), ("message", "8613800000000"), ("check",)):
        ended = await commands.run(*command, database_url=url)
        assert "standby" not in ended.err, ended.err
    pair.first.kill()
    told = (await commands.run("maintain", database_url=url)).complaint
    assert told.startswith("RECEIVER_DATABASE_URL: none of its 2 hosts takes this: ")
    assert f"127.0.0.1:{pair.second.port} cannot be used (it is a standby)" in told
    assert f"127.0.0.1:{pair.first.port} refused the connection" in told


@pytest.mark.parametrize("form", ["query", "nothing said"])
async def test_reports_go_to_the_primary_and_after_a_failover_to_the_new_one(pair: Pair, form: str) -> None:
    url = pair.url()
    if form == "query":
        hosts = {"host": "127.0.0.1,127.0.0.1", "port": f"{pair.second.port},{pair.first.port}", "user": APPLICATION}
        url = f"postgresql:///{pair.database}?{urlencode(hosts)}"
    async with writing(url) as writer:
        await writer.write(of("before"))
        await pair.fail_over()
        await eventually(lambda: _commits(writer))
        await writer.write(of("after"))
    assert await pair.stored(pair.second) >= {"after"}


async def test_a_primary_that_is_made_read_only_is_left_at_once(pair: Pair) -> None:
    """As an operator does who moves the service by hand."""
    async with writing(pair.url()) as writer:
        await writer.write(of("before"))
        await pair.first.administrate(*READ_ONLY)
        await pair.second.administrate("SELECT pg_promote()")
        await eventually(lambda: _commits(writer))
        await writer.write(of("after"))
        await pair.first.administrate(*READ_WRITE)
    assert "after" in await pair.stored(pair.second)
