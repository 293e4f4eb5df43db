"""The check before the service uses PostgreSQL: what it says of several hosts."""

import asyncio

import pytest
from support.capture import captured_log
from support.virtual_time import in_virtual_time

from receiver.database_hosts import place
from receiver.store import connecting
from receiver.store.readiness import version_if_ready

FOR_EVER = 1e9


@in_virtual_time
async def test_each_host_is_told_of_though_one_of_them_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_one(url: str, *_: object) -> None:
        if place(url) == "silent":
            await asyncio.sleep(FOR_EVER)
        raise ConnectionRefusedError

    monkeypatch.setattr(connecting, "_open", open_one)
    with captured_log() as log:
        assert await version_if_ready("postgresql://silent,refuses/sms", "RECEIVER_DATABASE_URL") is None
    (line,) = log.events("database.unreachable")
    assert "silent does not answer in time" in line["detail"]
    assert "refuses refused the connection" in line["detail"]
