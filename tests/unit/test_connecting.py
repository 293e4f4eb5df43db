"""A connection to one host of several, or to the only one."""

from typing import Any

import asyncpg
import pytest

from receiver.database_hosts import place
from receiver.store import connecting
from receiver.store.host_watch import HostWatch
from receiver.store.timelines import Timelines

ODD, GOOD = "odd.invalid", "good.invalid"


class Primary:
    """What answers at the good host."""

    url = ""
    standing: object = None

    async def fetch(self, _query: str) -> list[tuple[Any, ...]]:
        return [(False, False, 11, "7", 1, None)]

    def terminate(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _driver(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(url: str, **_: object) -> Primary:
        if place(url) == ODD:
            raise AttributeError("server_version")
        return Primary()

    async def look_up(_url: str) -> None:
        pass

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(connecting.names, "look_up", look_up)


async def test_a_host_where_the_driver_itself_fails_is_one_that_is_away() -> None:
    """As where something answers that is no PostgreSQL: another host is taken, and the service goes on."""
    found = await connecting.connect(f"postgresql://{ODD},{GOOD}/sms", timeout_s=20)
    assert place(found.url) == GOOD
    with pytest.raises(ConnectionError, match="AttributeError: server_version"):
        await connecting.connect(f"postgresql://{ODD}/sms", timeout_s=20)


async def test_a_look_at_such_a_host_ends_nothing(tmp_path: Any) -> None:
    (host,) = HostWatch(f"postgresql://{ODD}/sms", Timelines(), tmp_path, looks=True)._hosts
    assert await host.look(Timelines()) is None
