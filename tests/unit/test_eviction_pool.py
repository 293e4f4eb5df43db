"""Who gives way when a pool is full."""

import pytest

from receiver.server.eviction_pool import EvictionPool

PATIENCE_S = 1.0


def pool(*members: str, most: int = 4, at: float = 0.0) -> EvictionPool[str]:
    """Of members that are named by their client and a number: `a1`."""
    made: EvictionPool[str] = EvictionPool(most, PATIENCE_S)
    for member in members:
        assert made.add(member, member[0], at) is None
    return made


@pytest.mark.parametrize(
    ("members", "now", "evicted"),
    [
        pytest.param(("a1", "b1", "b2", "c1"), 0.5, "b1", id="of who has most"),
        pytest.param(("a1", "b1", "c1", "c2"), 0.5, "c1", id="whoever came later"),
        pytest.param(("a1", "b1", "c1", "d1"), 0.5, "a1", id="the oldest where all have as many"),
        pytest.param(("a1", "b1", "b2", "c1"), 1.0, "a1", id="who had time enough goes first"),
    ],
)
def test_who_gives_way(members: tuple[str, ...], now: float, evicted: str) -> None:
    full = pool(*members)
    assert full.add("x1", "x", now) == evicted
    assert sorted(full) == sorted({*members, "x1"} - {evicted})


def test_a_flood_from_one_client_pushes_out_only_itself() -> None:
    full = pool("a1", "b1", most=10)
    evicted = [full.add(f"f{number}", "f", 0.1) for number in range(100)]
    assert evicted[:8] == [None] * 8
    assert evicted[8:] == [f"f{number}" for number in range(92)]
    assert {"a1", "b1"} <= set(full)


def test_what_leaves_is_no_longer_counted() -> None:
    members = pool("a1", "a2", "a3", "b1")
    for gone in ("a1", "a2", "a2"):
        members.discard(gone)
    assert [members.number_of(client) for client in "abc"] == [1, 1, 0]
    assert members.oldest_of("a") == "a3"
    assert members.oldest_of("c") is None
    assert [members.add(f"{client}2", client, 0.1) for client in "bcd"] == [None, None, "b1"]


def test_an_emptied_pool_has_nobody() -> None:
    members = pool("a1")
    members.discard("a1")
    assert members.oldest() is None
    assert list(members) == []
    assert members.add("a2", "a", 0.0) is None
    assert members.oldest() == ("a2", 0.0)
