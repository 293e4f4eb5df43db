"""Which server a migration is run on, of several."""

from typing import Any

import pytest

from receiver.store import connecting, schema
from receiver.store.schema import upgrade

SEVERAL, LOCKED = "postgresql://sms_migrate@a,b/sms", "postgresql://sms_migrate@b/sms"


class Locked:
    """The connection that holds the migration lock, to an empty database on one of the hosts."""

    url = LOCKED

    async def fetchval(self, query: str, *_: object, **__: object) -> Any:
        return "pg_try_advisory_lock" in query or None

    async def execute(self, _query: str) -> None:
        pass

    async def close(self, **_: object) -> None:
        pass


async def test_all_of_it_goes_to_the_host_that_the_lock_is_held_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover in between, the lock would be held on one server and the schema changed on another."""
    asked: list[str] = []

    async def connect(url: str, **_: object) -> Locked:
        asked.append(url)
        if len(asked) > 1:
            raise ConnectionRefusedError("the story ends here")
        return Locked()

    async def no_roles(_connection: object) -> list[str]:
        return []

    monkeypatch.setattr(connecting, "connect", connect)
    monkeypatch.setattr(schema.roles, "ensure", no_roles)
    with pytest.raises(ConnectionRefusedError):
        await upgrade(SEVERAL)
    assert asked == [SEVERAL, LOCKED]
