"""`receiver check` on the hosts of a URL, and on whether a commit is on a second machine."""

from datetime import UTC, datetime

import pytest

from receiver.checks.finding import Finding
from receiver.checks.machines import second_machine, told
from receiver.store.standing import Standing
from receiver.store.timelines import Timelines

A, B = "postgresql://u:hunter2@a:5432/sms", "postgresql://u:hunter2@b:5433/sms"


def primary(timeline: int | None, day: int = 1, system: str = "7") -> Standing:
    """Started on that day."""
    told, started = system if timeline else None, datetime(2026, 11, day, tzinfo=UTC)
    return Standing(standby=False, read_only=False, pid=1, system=told, timeline=timeline, started=started)


STANDBY = Standing(standby=True, read_only=True, pid=1)
HOSTS = {
    "as it should be": ((primary(1), STANDBY), [("ok", "a:5432 is the primary"), ("ok", "b:5433 is a standby")]),
    "one is away": (
        (primary(1), ConnectionRefusedError()),
        [("ok", "a:5432 is the primary"), ("warning", "b:5433 refused the connection")],
    ),
    "an old primary": (
        (primary(1), primary(2, day=2)),
        [("error", "a:5432 is an old primary"), ("error", "b:5433 takes writes, and is not the only one")],
    ),
    "two that do not tell": (
        (primary(None), primary(None, day=2)),
        [("error", "a:5432 takes"), ("error", "b:5433 takes")],
    ),
    "two that have nothing to do with each other": (
        (primary(1), primary(2, day=2, system="8")),
        [("error", "a:5432 takes"), ("error", "b:5433 takes")],
    ),
    "one below a promotion that was seen": (
        (primary(1, system="9"), STANDBY),
        [("error", "a:5432 is an old primary"), ("ok", "b:5433 is a standby")],
    ),
    "two poolers before one": (
        (primary(1), primary(1)),
        [("ok", "a:5432 is the primary"), ("ok", "b:5433 is the primary")],
    ),
}


@pytest.mark.parametrize("case", HOSTS)
def test_each_host_is_told_of(case: str) -> None:
    found, expected = HOSTS[case]
    findings = list(told([A, B], found, Timelines({"9": 2})))
    assert len(findings) == len(expected)
    for finding, (level, words) in zip(findings, expected, strict=True):
        assert finding.level == level
        assert words in finding.what
        assert "hunter2" not in finding.what


def row(names: str, synchronous: str | None, *, may_see: bool = True) -> dict[str, object]:
    return {"names": names, "may_see": may_see, "synchronous": synchronous}


ROWS = [
    (row("ANY 1 (b)", "b"), True, "ok", "on a second machine: b"),
    (row("ANY 1 (b)", None), False, "error", "commits wait for one"),
    (row("ANY 1 (b)", None, may_see=False), False, "ok", "may not see"),
    (row("ANY 1 (b)", None, may_see=False), True, "error", "every report would go to the spool"),
    (row("", None), False, "ok", "on this machine alone"),
    (row("", None), True, "error", "RECEIVER_REQUIRE_SYNC_REPLICA is on"),
]


@pytest.mark.parametrize(("found", "required", "level", "words"), ROWS)
def test_whether_a_commit_is_on_a_second_machine(
    found: dict[str, object], level: str, words: str, *, required: bool
) -> None:
    (finding,) = second_machine(found, required=required)
    assert isinstance(finding, Finding)
    assert (finding.level, bool(finding.advice)) == (level, level == "error")
    assert words in finding.what
