"""Several hosts are tried at once: the best of those that answer is taken, and no dead one is waited for to its end."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.virtual_time import in_virtual_time, now

from receiver.database_hosts import Wanted
from receiver.store.racing import Candidate, NoHost, Refusal, race
from receiver.store.standing import Standing

PRIMARY, PROMOTED = Standing(False, False, 11, "7", 1), Standing(False, False, 11, "7", 2)  # noqa: FBT003 - as in a row
STANDBY, READ_ONLY = Standing(True, True, 11), Standing(False, True, 11, "7", 1)  # noqa: FBT003

FOR_EVER = 1e9

SCHEME = "postgresql://"


@dataclass
class Host:
    """After so many seconds it says what it is, or fails so; an attempt that is given up `lingers_s`."""

    after_s: float
    is_: Standing | Exception
    lingers_s: float = 0.0
    opened: bool = False
    cut: bool = False

    async def fetch(self, _query: str) -> list[tuple[Any, ...]]:
        assert isinstance(self.is_, Standing)
        return [(self.is_.standby, self.is_.read_only, self.is_.pid, self.is_.system, self.is_.timeline)]

    def terminate(self) -> None:
        self.cut = True


@dataclass
class Hosts:
    """By the names a, b, c."""

    hosts: dict[str, Host] = field(default_factory=dict)

    async def open(self, url: str) -> Any:
        host = self.hosts[url.removeprefix(SCHEME)]
        try:
            await asyncio.sleep(host.after_s)
        finally:
            await asyncio.sleep(host.lingers_s)
        if isinstance(host.is_, Exception):
            raise host.is_
        host.opened = True
        return host

    async def race(self, wanted: Wanted, refused: Refusal, timeout_s: float) -> Candidate:
        return await race([f"{SCHEME}{name}" for name in self.hosts], self.open, wanted, refused, timeout_s)

    def left_open(self) -> list[str]:
        return [name for name, host in self.hosts.items() if host.opened and not host.cut]


async def raced(*hosts: Host, wanted: Wanted = Wanted.READ_WRITE, timeout_s: float = 1.0) -> tuple[Candidate, Hosts]:
    them = Hosts(dict(zip("abc", hosts, strict=False)))
    try:
        return await them.race(wanted, lambda _url, _found: None, timeout_s), them
    except NoHost:
        assert them.left_open() == []
        raise


CASES = {
    "the primary, though it stands last": (Wanted.READ_WRITE, [Host(0, STANDBY), Host(0.01, PRIMARY)], "b"),
    "the one that takes writes": (Wanted.READ_WRITE, [Host(0, READ_ONLY), Host(0.01, PRIMARY)], "b"),
    "of two that take writes the one that was promoted last": (
        Wanted.READ_WRITE,
        [Host(0, PRIMARY), Host(0.1, PROMOTED)],
        "b",
    ),
    "the one that is there, though a black hole stands before it": (
        Wanted.READ_WRITE,
        [Host(FOR_EVER, PRIMARY), Host(0, PRIMARY)],
        "b",
    ),
    "any: the first in the URL": (Wanted.ANY, [Host(0.1, PRIMARY), Host(0, STANDBY)], "a"),
    "any: another if the first is slow": (Wanted.ANY, [Host(0.8, PRIMARY), Host(0, STANDBY)], "b"),
    "a standby, though the primary was quicker": (Wanted.PREFER_STANDBY, [Host(0, PRIMARY), Host(0.2, STANDBY)], "b"),
    "the primary where no standby is left": (
        Wanted.PREFER_STANDBY,
        [Host(0, PRIMARY), Host(0, ConnectionRefusedError())],
        "a",
    ),
    "a standby alone": (Wanted.STANDBY, [Host(0, PRIMARY), Host(0.3, STANDBY)], "b"),
    "a primary, read-only or not": (Wanted.PRIMARY, [Host(0, STANDBY), Host(0, READ_ONLY)], "b"),
    "what is read-only": (Wanted.READ_ONLY, [Host(0, PRIMARY), Host(0, READ_ONLY)], "b"),
}


@pytest.mark.parametrize("case", CASES)
@in_virtual_time
async def test_the_best_is_taken_and_every_other_connection_is_cut(case: str) -> None:
    wanted, hosts, expected = CASES[case]
    found, them = await raced(*(Host(host.after_s, host.is_) for host in hosts), wanted=wanted)
    assert them.left_open() == [expected]
    assert found.connection is them.hosts[expected]


@in_virtual_time
async def test_dead_hosts_cost_no_more_than_a_moment_where_another_takes_writes() -> None:
    await raced(Host(FOR_EVER, PRIMARY), Host(FOR_EVER, PRIMARY), Host(0.1, PRIMARY), timeout_s=10.0)
    assert now() == pytest.approx(0.4)


@in_virtual_time
async def test_time_outs_of_dead_hosts_do_not_add_up_and_each_is_named() -> None:
    with pytest.raises(NoHost) as caught:
        await raced(Host(FOR_EVER, PRIMARY), Host(0.1, ConnectionRefusedError("refused")), Host(0, STANDBY))
    assert now() < 1.0
    assert str(caught.value) == "a: no answer in time; b: refused; c: it is a standby"


@in_virtual_time
async def test_a_standby_that_is_promoted_while_the_lost_primary_says_nothing_is_found_at_once() -> None:
    """The attempt waited for the lost one to the end of its time, and the next one came seconds later."""
    standby = Host(0.05, STANDBY)
    asyncio.get_running_loop().call_later(0.5, setattr, standby, "is_", PROMOTED)
    await raced(Host(FOR_EVER, PRIMARY), standby, timeout_s=30.0)
    assert now() < 1.2


@in_virtual_time
async def test_a_primary_far_away_is_waited_for_though_a_standby_is_near() -> None:
    found, _ = await raced(Host(0.001, STANDBY), Host(2.0, PRIMARY), timeout_s=3.0)
    assert found.at == 1


@in_virtual_time
async def test_a_caller_who_gives_up_leaves_no_connection_behind() -> None:
    them = Hosts({"a": Host(0, PRIMARY), "b": Host(FOR_EVER, PRIMARY)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await them.race(Wanted.READ_WRITE, lambda _url, _found: None, 10.0)
    assert them.left_open() == []


@in_virtual_time
async def test_one_who_gives_up_when_all_is_decided_leaves_none_behind_either() -> None:
    them = Hosts({"a": Host(0, PRIMARY), "b": Host(0, STANDBY), "c": Host(FOR_EVER, PRIMARY, lingers_s=5.0)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.0):
            await them.race(Wanted.READ_WRITE, lambda _url, _found: None, 10.0)
    assert them.left_open() == []


@in_virtual_time
async def test_one_that_is_refused_is_waited_past() -> None:
    them = Hosts({"a": Host(0, PRIMARY), "b": Host(0.8, PROMOTED)})
    found = await them.race(Wanted.READ_WRITE, lambda _url, one: None if one.timeline == 2 else "it is old", 3.0)
    assert (found.at, them.left_open()) == (1, ["b"])
